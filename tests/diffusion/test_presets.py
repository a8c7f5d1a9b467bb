"""The presets of downloaded models draw, with a small model of the same architecture in place of the downloaded one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from paths import ROOT
from settings import jobs, source

from diffaug.commands.use import params_with
from diffaug.generation.drawing.sampler import open_sampler
from diffaug.params.base import ModelName

CPU = torch.device("cpu")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "model"),
    [
        ("sd15_lora", "stable_diffusion"),
        ("textual_inversion", "stable_diffusion"),
        ("sd_turbo", "stable_diffusion"),
        ("sdxl_12gb", "sdxl"),
        ("kolors_lora", "kolors"),
    ],
)
def test_it_draws_with_its_own_settings(model_folder: Callable[[str], Path], preset: str, model: str) -> None:
    given = params_with(ROOT / f"presets/{preset}.yaml", ROOT / "params.yaml").generate
    folder = ModelName(name=str(model_folder(model)))
    small = {"model": folder, "dtype": "float32", "vae": None, "height": 16, "width": 16}
    sampler = open_sampler(given.model_copy(update=small), CPU)
    chosen = {
        **{"scheduler": given.scheduler, "num_inference_steps": given.num_inference_steps},
        "guidance_scale": given.guidance_scale,
    }
    strengths = given.cls.modes.img2img.strength if given.cls.modes.img2img else []
    wanted = [jobs(1, **chosen), *(jobs(1, "img2img", strength=one, **chosen) for one in strengths)]
    for batch in wanted:
        sampler.check(batch)
        image = sampler.draw(batch, {"wide": source()}).images()[0]
        assert image.size == (16, 16) and len(set(image.tobytes())) > 1


def test_what_is_downloaded_has_its_commit() -> None:
    for preset in ("sd15_lora", "textual_inversion", "sd_turbo", "sdxl_12gb", "kolors_lora"):
        params = params_with(ROOT / f"presets/{preset}.yaml", ROOT / "params.yaml")
        named = params.train_gen.tuned.model if params.train_gen.tuned else params.generate.model
        assert named.on_hub and named.revision and params.download.unseen_by is None
