"""A model in a small memory draws the same, or nearly; GPUs themselves are not needed for that."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.hooks import group_offloading
from PIL import Image
from pydantic import ValidationError
from settings import jobs, params

from diffaug.diffusion.abilities import pipeline_for
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


def draw(pipeline: Any, **more: Any) -> torch.Tensor:
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    prompts = ["a photo of a cat"] * 2
    return pipeline(prompts, num_inference_steps=3, generator=generators, output_type="pt", **more).images


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are prefetched by a stream, as on CUDA; here it does nothing."""

    class Stream:
        def synchronize(self) -> None: ...

    apply = group_offloading._apply_group_offloading

    def with_stream(module: torch.nn.Module, config: Any) -> None:
        config.stream, config.low_cpu_mem_usage = Stream(), True
        apply(module, config)

    @contextlib.contextmanager
    def not_pinned(group: Any) -> Iterator[dict[Any, Any]]:
        yield dict(group.cpu_param_dict)

    monkeypatch.setattr(group_offloading, "_apply_group_offloading", with_stream)
    monkeypatch.setattr(group_offloading.ModuleGroup, "_pinned_memory_tensors", not_pinned)
    monkeypatch.setattr(torch.cpu, "stream", lambda _: contextlib.nullcontext(), raising=False)
    monkeypatch.setattr(torch.cpu, "current_stream", lambda *_: Stream(), raising=False)


def test_layers_that_come_and_go_compute_the_same_in_all_modes(pipeline: Any, streams: None) -> None:
    """As the sampler does it: the model is placed, then each mode's pipeline, which shares its networks."""
    before = draw(pipeline)
    offload_layers(pipeline, CPU)
    drawn = []
    for mode in ("txt2img", "img2img"):
        derived = pipeline_for(mode, pipeline)
        offload_layers(derived, CPU)
        picture = {"image": [Image.new("RGB", (16, 16), "red")] * 2} if mode == "img2img" else {}
        drawn.append(draw(derived, **picture))
    assert torch.equal(drawn[0], before) and drawn[1].isfinite().all()


def test_what_the_library_cannot_move_is_one_line(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(pipeline), "model_cpu_offload_seq", None)
    with pytest.raises(UserError, match=r"memory\.offload: StableDiffusionPipeline cannot do model \("):
        place(pipeline, memory(offload="model"), torch.device("cuda"))


def test_networks_that_wait_are_not_compiled() -> None:
    with pytest.raises(ValidationError, match="networks that wait outside the GPU cannot be compiled"):
        params("./none", compile=True, memory=DEFAULT | {"offload": "group"})


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


def test_on_a_gpu_the_library_moves_whole_networks(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    for name in ("enable_model_cpu_offload", "to"):
        monkeypatch.setattr(pipeline, name, lambda *_, name=name, **__: called.append(name))
    place(pipeline, memory(offload="model"), torch.device("cuda"))
    assert called == ["enable_model_cpu_offload"]
