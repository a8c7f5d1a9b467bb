from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from settings import params

from diffaug.diffusion.abilities import modes, native_size, pipeline_for
from diffaug.diffusion.opening import open_model
from diffaug.runtime.errors import UserError

Folder = Callable[[str], Path]


def opened(folder: Path) -> Any:
    return open_model(params(folder), torch.device("cpu")).pipeline


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stable_diffusion", ["txt2img", "img2img", "inpaint"]),
        ("kolors", ["txt2img", "img2img"]),
        ("z_image", ["txt2img", "img2img", "inpaint"]),
        ("flux2_klein", ["txt2img", "inpaint"]),
        *((name, ["txt2img", "img2img", "inpaint"]) for name in ("sd3", "flux", "qwen_image")),
    ],
)
def test_the_modes_of_a_model_are_those_of_the_docs(model_folder: Folder, name: str, expected: list[str]) -> None:
    assert modes(opened(model_folder(name))) == expected


def test_a_model_that_takes_images_as_references_only_is_one_line(model_folder: Folder) -> None:
    """FLUX.2 [klein]: the advice was to leave out the strength, without which there is no img2img."""
    message = (
        r"Flux2KleinPipeline has no img2img \(it takes images as references, without a strength\); it has txt2img and "
        "inpaint; remove this mode, or take another model"
    )
    with pytest.raises(UserError, match=message):
        pipeline_for("img2img", opened(model_folder("flux2_klein")))


@pytest.mark.parametrize(
    ("name", "size"),
    [("kolors", 16), ("flux2_klein", 256), ("z_image", 1024)],  # the last one is what its code takes for none
)
def test_the_size_of_a_model(model_folder: Folder, name: str, size: int) -> None:
    assert native_size(opened(model_folder(name))) == (size, size)


def test_a_pipeline_that_is_found_by_its_name_shares_everything_as_it_is(model_folder: Folder) -> None:
    """diffusers' from_pipe would make float32 of it, also in the pipeline from which it is made."""
    loaded = open_model(params(model_folder("flux2_klein"), dtype="bfloat16"), torch.device("cpu")).pipeline
    inpaint = pipeline_for("inpaint", loaded)
    assert type(inpaint).__name__ == "Flux2KleinInpaintPipeline"
    assert inpaint.transformer is loaded.transformer and inpaint.config.is_distilled
    assert loaded.transformer.dtype is loaded.text_encoder.dtype is torch.bfloat16
