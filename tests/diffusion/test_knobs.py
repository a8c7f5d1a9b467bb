"""What a model takes and does not use, against what it draws."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline

from diffaug.diffusion.knobs import drives, guided, idle_guidance, refuse_idle, refuse_undriven
from diffaug.diffusion.schedulers import fitting, make_scheduler
from diffaug.hub.parts import INDEX, empty_parts
from diffaug.runtime.errors import UserError

SIZE = {"height": 16, "width": 16, "num_inference_steps": 3, "output_type": "pt"}


@pytest.fixture(scope="module")
def opened(model_folder: Callable[[str], Path]) -> Callable[[str], Any]:
    """Returns a small pipeline by its name; each is opened once."""
    made: dict[str, Any] = {}

    def pipeline(name: str) -> Any:
        if name not in made:
            folder = model_folder(name)
            made[name] = DiffusionPipeline.from_pretrained(folder, **dict.fromkeys(empty_parts(folder / INDEX)))
            made[name].set_progress_bar_config(disable=True)
        return made[name]

    return pipeline


def draw(pipeline: Any, **settings: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return pipeline(prompt="a photo of a cat", generator=generator, **SIZE | settings).images


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flux", "flux2_klein", "kolors", "qwen_image", "sd3", "stable_diffusion", "z_image"])
def test_exactly_the_schedulers_that_draw_are_offered(opened: Callable[[str], Any], name: str) -> None:
    pipeline = opened(name)
    own = pipeline.scheduler
    try:
        for scheduler in fitting(own):
            pipeline.scheduler = make_scheduler(scheduler, own)
            offered = drives(pipeline, pipeline.scheduler)
            try:
                works = bool(draw(pipeline).isfinite().all())
            except Exception:
                works = False
            assert works == offered, scheduler
    finally:
        pipeline.scheduler = own


def test_a_scheduler_that_the_pipeline_cannot_drive_is_refused(opened: Callable[[str], Any]) -> None:
    pipeline = opened("qwen_image")
    with pytest.raises(UserError, match=r"QwenImagePipeline sets noise levels that 'heun' does not take; allowed"):
        refuse_undriven(pipeline, "heun", pipeline.scheduler)
    refuse_undriven(pipeline, "default", pipeline.scheduler)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        (
            "qwen_image",
            {"true_cfg_scale": 4.0},
            r"call\.true_cfg_scale: QwenImagePipeline uses it only with a negative",
        ),
        (
            "qwen_image",
            {"true_cfg_scale": 1.0, "negative_prompt": "x"},
            r"negative_prompt: Qwen.* above 1, found 1",
        ),
        ("qwen_image", {"true_cfg_scale": 4.0, "negative_prompt": "x"}, None),
        ("qwen_image", {"negative_prompt": "x"}, None),  # its own scale is 4
        ("qwen_image", {}, None),
        ("flux", {"negative_prompt": "x", "guidance_scale": 3.5}, r"negative_prompt: FluxPipeline .* above 1, found 1"),
        ("flux", {"negative_prompt": "x", "true_cfg_scale": 3.0}, None),
        ("stable_diffusion", {"negative_prompt": "x", "guidance_scale": 1.0}, r"guidance_scale 1 is none; raise it"),
        ("stable_diffusion", {"negative_prompt": "x", "guidance_scale": 2.0}, None),
        ("sd3", {"negative_prompt": "x", "guidance_scale": 0.0}, r"guidance_scale 0 is none"),
        ("kolors", {"negative_prompt": "x", "guidance_scale": 1.0}, r"guidance_scale 1 is none; raise it"),
        ("kolors", {"negative_prompt": "x", "guidance_scale": 2.0}, None),
        ("z_image", {"negative_prompt": "x", "guidance_scale": 0.0}, r"guidance_scale 0 is none; raise it"),
        ("z_image", {"negative_prompt": "x", "guidance_scale": 1.0}, None),
    ],
)
def test_what_is_refused_changes_nothing_and_what_is_not_does(
    opened: Callable[[str], Any], name: str, given: dict[str, Any], message: str | None
) -> None:
    pipeline = opened(name)
    if message is not None:
        with pytest.raises(UserError, match=message):
            refuse_idle(pipeline, given)
        idle = {"negative_prompt"} if "negative_prompt" in given else {"true_cfg_scale"}
        without = {key: value for key, value in given.items() if key not in idle}
        assert torch.equal(draw(pipeline, **given), draw(pipeline, **without))
    else:
        refuse_idle(pipeline, given)
        if "negative_prompt" in given:
            without = {key: value for key, value in given.items() if key != "negative_prompt"}
            assert not torch.equal(draw(pipeline, **given), draw(pipeline, **without))


@pytest.mark.parametrize(
    ("name", "note"),
    [
        (
            "flux",
            "guidance_scale changes nothing in FluxPipeline; generate.call.true_cfg_scale, with a negative prompt",
        ),
        ("qwen_image", "guidance_scale changes nothing in QwenImagePipeline"),
        ("flux2_klein", "guidance_scale changes nothing in Flux2KleinPipeline"),
    ],
)
def test_a_guidance_scale_that_changes_nothing_is_said(opened: Callable[[str], Any], name: str, note: str) -> None:
    pipeline = opened(name)
    assert (idle_guidance(pipeline) or "").startswith(note)
    assert torch.equal(draw(pipeline, guidance_scale=1.5), draw(pipeline, guidance_scale=7.0))


def test_a_guidance_scale_that_works_is_not(opened: Callable[[str], Any]) -> None:
    for name in ("stable_diffusion", "sd3", "kolors", "flux2_klein_base"):
        assert idle_guidance(opened(name)) is None
        assert (guided(opened(name), 1.5), guided(opened(name), 1.0)) == (True, False)


def test_a_guidance_scale_that_begins_at_zero_is_said(opened: Callable[[str], Any]) -> None:
    pipeline = opened("z_image")
    assert (idle_guidance(pipeline) or "").startswith("ZImagePipeline counts guidance_scale from 0")
    assert not torch.equal(draw(pipeline, guidance_scale=0.0), draw(pipeline, guidance_scale=1.0))
