"""`diffaug noise`: the schedules by their formulas, and the strip."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from default_params import raw
from PIL import Image
from settings import params

from diffaug.commands.latents import decode, encode
from diffaug.commands.main import main
from diffaug.commands.noise import SCHEDULES, noised, schedule
from diffaug.diffusion.opening import open_model


def test_the_schedules_are_those_of_the_papers() -> None:
    """DDPM's linear variances from 1e-4 to 0.02 in 1000 steps; Nichol and Dhariwal's cosine."""
    linear = schedule("linear", 1000)
    signal = 1.0
    for step in range(1000):
        signal *= 1 - (1e-4 + (0.02 - 1e-4) * step / 999)
        if step in (0, 99, 999):
            assert float(linear.alphas_cumprod[step]) == pytest.approx(signal, rel=1e-4)

    def cosine(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    for step in (0, 50, 100):
        expected = cosine((step + 1) / 200) / cosine(0)
        assert float(schedule("cosine", 200).alphas_cumprod[step]) == pytest.approx(expected, rel=1e-3)
    for name in SCHEDULES:
        left = schedule(name, 200).alphas_cumprod
        assert left[0] > 0.99 and left[-1] < 0.05 and bool((left[1:] < left[:-1]).all())


def test_the_forward_process_by_its_formula() -> None:
    scheduler, clean = schedule("linear", 200), torch.full((1, 1, 64, 64), 0.5)
    first, last = noised(clean, [0, 150], scheduler, 0, fixed=True)
    signal = float(scheduler.alphas_cumprod[150])
    noise = torch.randn(clean.shape, generator=torch.Generator("cpu").manual_seed(0))
    assert torch.allclose(last, signal**0.5 * clean + (1 - signal) ** 0.5 * noise, atol=1e-6)
    assert (first - clean).abs().max() < 0.2
    other = noised(clean, [0, 150], scheduler, 0, fixed=False)
    assert torch.equal(other[0], first) and not torch.equal(other[1], last)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_pipeline: Path) -> Path:
    content = raw()
    content["download"]["unseen_by"] = None
    content["generate"]["model"] = {"name": str(random_pipeline)}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    pixels = np.random.default_rng(0).integers(256, size=(33, 41, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    return tmp_path


@pytest.mark.parametrize("options", [(), ("--latent",), ("--latent", "--schedule", "model", "--steps", "0,500,999")])
def test_the_strip_has_a_row_for_each_way(
    project: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "argv", ["diffaug", "noise", "photo.png", *options])
    main()
    rows = 3 if options else 2
    height = Image.open("noise.png").height
    assert height == 54 + rows * (192 + 18 + 6) + 6


def test_latents_that_the_vae_cannot_decode_as_they_are(
    project: Path, monkeypatch: pytest.MonkeyPatch, model_folder: Callable[[str], Path]
) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    content["generate"] |= {"model": {"name": str(model_folder("sd3"))}, "scheduler": "default"}
    Path("params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["diffaug", "noise", "photo.png", "--latent"])
    with pytest.raises(SystemExit, match="noise: StableDiffusion3Pipeline has no U-Net"):
        main()


@pytest.mark.parametrize("name", ["stable_diffusion", "sdxl"])
def test_a_latent_and_back(model_folder: Callable[[str], Path], name: str) -> None:
    """SDXL's VAE computes in float32, and has its own data type again afterwards."""
    pipeline = open_model(params(model_folder(name), dtype="bfloat16"), torch.device("cpu")).pipeline
    pipeline.vae.register_to_config(force_upcast=name == "sdxl")
    latent = encode(pipeline, torch.zeros(1, 3, 21, 34))
    (image,) = decode(pipeline, latent)
    factor = pipeline.vae_scale_factor
    assert image.size == (34 // factor * factor, 21 // factor * factor)
    assert pipeline.vae.dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("photo.png", "--steps", "200"), "noise: --steps: found 200; allowed are numbers from 0 to 199"),
        (("nowhere.png",), "nowhere.png: not readable"),
        (("photo.png", "--schedule", "model"), "noise: --schedule model is that of a model; add --latent"),
    ],
)
def test_what_does_not_fit_is_one_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["diffaug", "noise", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert str(ended.value).startswith(f"diffaug: {said}")
