"""The memory that `diffaug check` states for a generator. benchmarks/full_size.py holds it against measured peaks."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from default_params import params
from settings import modes
from settings import params as generate
from sparse import shapes, sparse_file
from torch import nn

from diffaug.commands import model_memory as module
from diffaug.commands.model_memory import memory_lines, model_memory
from diffaug.diffusion.opening import open_model
from diffaug.hub.checkpoints import carried_folder
from diffaug.params import Params
from diffaug.params.base import ModelName

GIB = 2**30
NONE = {"offload": "none", "vae_slicing": "auto", "vae_tiling": False, "quantize": None}


def drawing(file: Path, batch_size: int, **memory: object) -> Params:
    model = {"name": str(file)}
    return params(
        download={"unseen_by": None},
        generate={"model": model, "batch_size": batch_size, "dtype": "float16", "memory": NONE | memory},
    )


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("checkpoints")

    def file(kind: str) -> Path:
        path = folder / f"{kind}.safetensors"
        return path if path.exists() else sparse_file(path, shapes(carried_folder(kind)))

    return file


@pytest.mark.parametrize("name", ["stable_diffusion", "sdxl"])
def test_the_weights_are_those_of_the_open_model(model_folder: Callable[[str], Path], name: str) -> None:
    chosen = generate(model_folder(name))
    found = model_memory(chosen, chosen.model, dtype="float32")
    assert found is not None
    parts = open_model(chosen, torch.device("cpu")).pipeline.components.values()
    tensors = [one for part in parts if isinstance(part, nn.Module) for one in part.state_dict().values()]
    assert sum(found.weights.values()) == pytest.approx(sum(one.nbytes for one in tensors), rel=0.02)
    assert found.denoiser > 0 and found.decoder > 0


def test_published_sizes(full_size: Callable[[str], Path]) -> None:
    """SD 1.5 has 1.07 thousand million weights without its safety checker, SDXL 3.47."""
    for kind, count, decoder in (("sd1", 1.07e9, 0.375), ("sdxl", 3.47e9, 1.5)):
        chosen = generate(full_size(kind))
        found = model_memory(chosen, chosen.model, dtype="bfloat16")
        assert found is not None
        assert sum(found.weights.values()) == pytest.approx(2 * count, rel=0.01)
        assert found.decoder == decoder * GIB


def test_what_is_set_needs_less(full_size: Callable[[str], Path], model_folder: Callable[[str], Path]) -> None:
    def peak(batch_size: int, **memory: object) -> int:
        chosen = drawing(full_size("sdxl"), batch_size, **memory).generate
        found = model_memory(chosen, chosen.model, dtype="bfloat16")
        assert found is not None
        return found.peak(chosen.memory)

    assert peak(4) == peak(4, vae_slicing=True) < peak(4, vae_slicing=False)
    assert peak(1, offload="group") < peak(1, offload="model") < peak(1, quantize="int8") < peak(1) < peak(8)
    canny = {"condition": "canny", "canny": [100, 200], "scale": 1.0}
    model = model_folder("stable_diffusion-controlnet")
    guided = generate(full_size("sd1"), cls=modes(controlnet=canny | {"model": {"name": str(model)}}))
    found = model_memory(guided, guided.model, dtype="bfloat16")
    assert found is not None and "controlnet" in found.weights


def test_a_card_that_is_too_small_gets_a_proposal(
    full_size: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "smallest_card", lambda: 12 * GIB)
    (line,) = memory_lines(drawing(full_size("sd1"), 4))
    assert line.startswith("generate.model: about 4.0 GiB") and line.endswith("for a batch of 4")
    monkeypatch.setattr(module, "smallest_card", lambda: 8 * GIB)
    (line,) = memory_lines(drawing(full_size("sdxl"), 4))
    assert line.startswith("note: generate.model: about ") and "but the card has 8.0 GiB; with memory.offload: " in line
    monkeypatch.setattr(module, "smallest_card", lambda: 2 * GIB)
    (line,) = memory_lines(drawing(full_size("sdxl"), 4))
    assert line.endswith("the card has 2.0 GiB; take a smaller model, or smaller height and width")


def test_a_vae_that_overflows_in_float16_is_counted_in_float32(full_size: Callable[[str], Path]) -> None:
    chosen = generate(full_size("sdxl"))
    half, brain = (model_memory(chosen, chosen.model, dtype) for dtype in ("float16", "bfloat16"))
    assert half is not None and brain is not None
    assert (half.decoder, half.weights["vae"]) == (2 * brain.decoder, 2 * brain.weights["vae"])
    assert half.weights["unet"] == brain.weights["unet"]


def test_what_a_cpu_cannot_do_is_not_counted(full_size: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """There, nothing can be moved away; and what is compiled cannot wait elsewhere."""
    monkeypatch.setattr(module, "smallest_card", lambda: None)
    monkeypatch.setattr(module.cores, "memory", lambda: 64 * GIB)
    said = {str(memory_lines(drawing(full_size("sdxl"), 1, offload=one))) for one in ("none", "model", "group")}
    assert len(said) == 1
    monkeypatch.setattr(module, "smallest_card", lambda: 6 * GIB)
    compiled = drawing(full_size("sdxl"), 1)
    compiled = compiled.model_copy(update={"generate": compiled.generate.model_copy(update={"compile": True})})
    assert "offload" not in memory_lines(compiled)[0]


@pytest.mark.parametrize("name", ["sd3", "kolors"])
def test_kinds_that_were_not_measured(model_folder: Callable[[str], Path], name: str) -> None:
    """Kolors has SDXL's U-Net and VAE, and is counted; a transformer has no line."""
    chosen = generate(model_folder(name))
    assert (model_memory(chosen, chosen.model, "float32") is None) == (name == "sd3")


def test_what_is_not_on_this_disk_or_small_has_no_line(
    model_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = ModelName(name="owner/model", revision="0" * 40)
    assert memory_lines(params(download={"unseen_by": None}, generate={"model": absent.model_dump()})) == []
    assert memory_lines(drawing(model_folder("stable_diffusion"), 4)) == []
