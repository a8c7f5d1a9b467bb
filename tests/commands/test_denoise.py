"""`diffaug denoise` on a small real pipeline."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from default_params import raw
from PIL import Image

from diffaug.commands.denoise import write_gif
from diffaug.commands.main import main
from diffaug.runtime.errors import UserError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_pipeline: Path) -> Path:
    content = raw()
    content["download"]["unseen_by"] = None
    content["generate"] |= {"model": {"name": str(random_pipeline)}, "num_inference_steps": 5}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["diffaug", *arguments])
    main()


def test_every_step_is_a_frame_and_the_last_is_the_picture(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "denoise", "a photo of a cat", "--n", "4", "--seed", "3", "--gif")
    strip, moving = Image.open("denoise.png"), Image.open("denoise.gif")
    assert strip.width == 150 + 5 * 198 + 6
    assert moving.n_frames == 5
    run(monkeypatch, "draw", "a photo of a cat", "--seed", "3")
    drawn = np.asarray(Image.open("drawn/00000.png").convert("RGB")).astype(int)
    times = moving.width // (2 * drawn.shape[1])
    moving.seek(4)
    last = np.asarray(moving.convert("RGB")).astype(int)[
        : drawn.shape[0] * times : times, : drawn.shape[1] * times : times
    ]
    assert np.abs(last - drawn).mean() < 12  # a GIF has 256 colours
    moving.seek(0)
    first = np.asarray(moving.convert("RGB")).astype(int)[
        : drawn.shape[0] * times : times, : drawn.shape[1] * times : times
    ]
    assert np.abs(first - drawn).mean() > np.abs(last - drawn).mean()


def test_a_scheduler_without_an_estimate_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="denoise: the scheduler dpmpp_2m does not say what it estimates; use ddim"):
        run(monkeypatch, "denoise", "a cat", "--scheduler", "dpmpp_2m")


def test_packed_latents_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, model_folder: Callable[[str], Path]
) -> None:
    model = str(model_folder("sd3"))
    with pytest.raises(SystemExit, match="StableDiffusion3Pipeline has no U-Net"):
        run(monkeypatch, "denoise", "a cat", "--model", model, "--scheduler", "default")


def test_a_gif_of_no_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.gif: there are no steps to show"):
        write_gif([], tmp_path / "a.gif")
