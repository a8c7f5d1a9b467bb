"""A model in a small memory draws the same, or nearly; GPUs themselves are not needed for that."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from settings import jobs, params

from diffaug.diffusion.small_memory import offload_layers, place, quantize, slice_vae
from diffaug.generation.drawing.sampler import Sampler, open_sampler
from diffaug.params.memory import MemoryParams
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")
DEFAULT = {"offload": "none", "vae_slicing": "auto", "vae_tiling": False, "quantize": None}


def memory(**changes: Any) -> MemoryParams:
    return MemoryParams(**DEFAULT | changes)


@pytest.fixture
def pipeline(saved_pipeline: Path) -> Any:
    opened = StableDiffusionPipeline.from_pretrained(saved_pipeline)
    opened.set_progress_bar_config(disable=True)
    return opened


def draw(pipeline: Any) -> torch.Tensor:
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    return pipeline(["a photo of a cat"] * 2, num_inference_steps=3, generator=generators, output_type="pt").images


def test_layers_that_come_and_go_compute_the_same(pipeline: Any) -> None:
    before = draw(pipeline)
    offload_layers(pipeline, CPU)
    assert torch.equal(draw(pipeline), before)


def test_int8_weights_are_a_quarter_as_large_and_draw_nearly_the_same(pipeline: Any) -> None:
    pytest.importorskip("torchao")  # optional: all that imports diffusers would start later with it
    before = draw(pipeline)
    quantize(pipeline, "int8")
    layer = pipeline.unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_q
    assert layer.weight.qdata.dtype is torch.int8
    after = draw(pipeline)
    assert 0 < (after - before).abs().mean() < 0.1 * before.std()


def test_int8_without_torchao_is_one_line(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(UserError, match=r"memory\.quantize: torchao is not installed; run `.venv"):
        quantize(pipeline, "int8")


@pytest.mark.parametrize(
    ("changes", "pixels", "sliced"),
    [
        ({}, 4 * 512**2, False),
        ({}, 4 * 512**2 + 1, True),
        ({"vae_slicing": True}, 1, True),
        ({"vae_slicing": False}, 10**9, False),
    ],
)
def test_large_batches_are_decoded_image_by_image(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], pixels: int, sliced: bool
) -> None:
    slice_vae(pipeline, memory(**changes), pixels)
    decoder, seen = pipeline.vae.decoder.forward, []

    def forward(latents: torch.Tensor, *more: Any) -> Any:
        seen.append(len(latents))
        return decoder(latents, *more)

    monkeypatch.setattr(pipeline.vae.decoder, "forward", forward)
    draw(pipeline)
    assert seen == ([1, 1] if sliced else [2])


def test_tiles_are_used_only_where_the_vae_has_them(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slice_vae(pipeline, memory(vae_tiling=True), 1)
    assert pipeline.vae.use_tiling
    slice_vae(pipeline, memory(), 1)
    assert not pipeline.vae.use_tiling
    monkeypatch.setattr(pipeline, "vae", torch.nn.Identity())
    slice_vae(pipeline, memory(), 10**9)
    with pytest.raises(UserError, match=r"memory\.vae_tiling: Identity has no tiling; set it to false"):
        slice_vae(pipeline, memory(vae_tiling=True), 1)


@pytest.mark.parametrize("offload", ["model", "group"])
def test_on_a_cpu_nothing_is_moved_away(random_pipeline: Path, offload: str) -> None:
    settings = DEFAULT | {"offload": offload}
    plain, moved = (open_sampler(params(random_pipeline, memory=one), CPU) for one in (DEFAULT, settings))
    assert pixels(moved).equal(pixels(plain))


def pixels(sampler: Sampler) -> torch.Tensor:
    return sampler.draw(jobs(2), {}).pixels


@pytest.mark.parametrize(
    ("offload", "call"), [("model", "enable_model_cpu_offload"), ("group", "enable_group_offload")]
)
def test_on_a_gpu_the_library_moves(pipeline: Any, monkeypatch: pytest.MonkeyPatch, offload: str, call: str) -> None:
    called: list[str] = []
    for name in ("enable_model_cpu_offload", "enable_group_offload", "to"):
        monkeypatch.setattr(pipeline, name, lambda *_, name=name, **__: called.append(name))
    place(pipeline, memory(offload=offload), torch.device("cuda"))
    assert called == [call]
