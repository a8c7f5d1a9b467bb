"""Upscalers of diffusers, of real parts with random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_upscalers
import torch
from PIL import Image

from diffaug.enlarging.pipelines import Drawing, model_name, open_upscaler
from diffaug.enlarging.tiles import Tile, Upscaler, enlarge
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")
MAKERS: dict[str, Callable[[Path], Path]] = {"four_times": small_upscalers.four_times, "twice": small_upscalers.twice}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("upscalers")
    return {name: make(place / name) for name, make in MAKERS.items()}


def opened(folder: Path, **drawing: Any) -> Upscaler:
    return open_upscaler(model_name(str(folder), None), Drawing(steps=2, **drawing), CPU)


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(("name", "scale", "tile"), [("four_times", 4, 128), ("twice", 2, 512)])
def test_a_picture_of_any_size(folders: dict[str, Path], name: str, scale: int, tile: int) -> None:
    upscaler = opened(folders[name])
    assert (upscaler.name, upscaler.scale, upscaler.tile, upscaler.draws) == (name, scale, tile, True)
    for size in ((1, 3), (70, 50)):
        assert enlarge(picture(*size), upscaler, 64, lambda: None).size == (size[0] * scale, size[1] * scale)


@pytest.mark.parametrize("name", MAKERS)
def test_seed_and_prompt_change_it_and_the_same_ones_do_not(folders: dict[str, Path], name: str) -> None:
    one = picture(64, 64)
    first, again, other_seed, prompted = (
        np.asarray(enlarge(one, opened(folders[name], **drawing), 0, lambda: None))
        for drawing in ({}, {}, {"seed": 1}, {"prompt": "a cat"})
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other_seed) and not np.array_equal(first, prompted)


@pytest.mark.parametrize(("name", "pixels"), [("four_times", 1), ("twice", 4)])
def test_neighbouring_tiles_begin_with_the_same_noise_where_they_overlap(
    folders: dict[str, Path], name: str, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[torch.Tensor] = []
    upscaler = opened(folders[name])
    pipeline = next(
        cell.cell_contents for cell in upscaler.draw.__closure__ or () if hasattr(cell.cell_contents, "unet")
    )
    own = pipeline.prepare_latents
    monkeypatch.setattr(pipeline, "prepare_latents", lambda *given: begun.append(given[-1]) or own(*given))
    one, whole = picture(64, 64), (128, 64)
    for left in (0, 32):
        upscaler.draw(Tile(one, (left, 0), whole))
    half = 32 // pixels
    assert begun[0].shape[-2:] == (64 // pixels, 64 // pixels)
    assert torch.equal(begun[0][..., half:], begun[1][..., :half])
    assert not torch.equal(begun[0], begun[1])


def test_another_pipeline_is_refused(random_pipeline: Path) -> None:
    with pytest.raises(UserError, match="is a StableDiffusionPipeline; allowed are StableDiffusionUpscalePipeline and"):
        opened(random_pipeline)


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("owner/model", None, "upscale: --model: revision of owner/model is None, but must be a commit"),
        ("owner/model", "main", "upscale: --model: revision of owner/model is 'main', but must be a commit"),
        ("./nowhere", None, "upscale: --model: nowhere is not a folder"),
    ],
)
def test_a_name_that_leads_nowhere(name: str, revision: str | None, said: str) -> None:
    with pytest.raises(UserError) as caught:
        open_upscaler(model_name(name, revision), Drawing(), CPU)
    assert str(caught.value).startswith(said)
