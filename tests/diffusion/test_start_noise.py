"""The noise that is given to a pipeline is the noise that it would draw."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from settings import jobs, params
from small_transformers import flux

from diffaug.diffusion.start_noise import start_noise
from diffaug.generation.drawing.sampler import initial_generators, open_sampler

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["stable_diffusion", "sdxl", "kolors"])
@pytest.mark.parametrize("scheduler", ["ddim", "euler_a"])
def test_a_pipeline_draws_the_same_from_it(model_folder: Callable[[str], Path], name: str, scheduler: str) -> None:
    sampler = open_sampler(params(model_folder(name)), CPU)
    plan = jobs(2, scheduler=scheduler)
    expected = sampler.draw(plan, {}).pixels
    pipeline = sampler._pipeline(plan[0].settings)
    generators = initial_generators([*plan, plan[1], plan[1]])  # the batch is filled up to four
    noise = start_noise(pipeline, generators, sampler.size(plan[0].settings), CPU)
    assert noise is not None
    drawn = pipeline(
        prompt=[job.prompt for job in [*plan, plan[1], plan[1]]],
        generator=generators,
        latents=noise,
        num_inference_steps=plan[0].settings.num_inference_steps,
        guidance_scale=plan[0].settings.guidance_scale,
        width=sampler.size(plan[0].settings)[0],
        height=sampler.size(plan[0].settings)[1],
        output_type="pt",
    ).images
    assert (drawn[:2] * 255).round().byte().permute(0, 2, 3, 1).equal(expected[:2])


def test_a_transformer_draws_its_own(tmp_path: Path) -> None:
    pipeline = open_sampler(params(flux(tmp_path / "flux")), CPU).model.pipeline
    assert start_noise(pipeline, [torch.Generator()], (32, 32), CPU) is None
