"""The teaching example runs on a tiny set, and its parts are what the papers say."""

import gzip
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from paths import ROOT
from PIL import Image

SCRIPT = ROOT / "examples/pixel_diffusion.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pixel_diffusion", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen images in the format of Fashion-MNIST: squares of different brightness."""
    folder = tmp_path_factory.mktemp("data")
    pixels = np.zeros((16, 28, 28), np.uint8)
    for number in range(16):
        pixels[number, 6:22, 6:22] = 100 + 10 * number
    head = b"".join(value.to_bytes(4, "big") for value in (2051, 16, 28, 28))
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pixels.tobytes()))
    return folder


def test_it_is_short_and_stands_alone() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150 and "import diffaug" not in text and "from diffaug" not in text


def test_images_are_read_as_they_are(script: ModuleType, data: Path) -> None:
    images = script.read_images(data)
    assert images.shape == (16, 1, 28, 28) and images.dtype == torch.float32
    assert images[0, 0, 0, 0] == -1 and images[15, 0, 10, 10] == pytest.approx(250 / 127.5 - 1)


def test_the_p2_weight_by_its_formula(script: ModuleType) -> None:
    noising, t = DDPMScheduler(1000), torch.tensor([0, 500, 999])
    signal = noising.alphas_cumprod[t]
    assert torch.allclose(script.p2_weight(noising, t, 1.0), 1 - signal, rtol=1e-3)  # 1 / (1 + SNR)
    assert torch.equal(script.p2_weight(noising, t, 0.0), torch.ones(3))


@pytest.mark.parametrize("steps", [20, 1000])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_the_reverse_process_finds_the_image_if_the_noise_is_known(
    script: ModuleType, steps: int, sampler: str
) -> None:
    """A U-Net that is always right about one image leads to that image."""
    image, noising = torch.full((1, 1, 28, 28), 0.3), DDPMScheduler(1000)

    class Knows:
        def __call__(self, x: torch.Tensor, t: torch.Tensor) -> "Knows":
            signal = noising.alphas_cumprod[t]
            self.sample = (x - signal.sqrt() * image) / (1 - signal).sqrt()
            return self

    torch.manual_seed(0)
    states = script.draw(Knows(), noising, 2, script.SAMPLERS[sampler], steps, "cpu")
    assert len(states) == steps + 1 and 0.9 < states[0].std() < 1.1
    assert (states[-1] - image).abs().max() < 0.05


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--schedule", "cosine", "--loss", "huber", "--p2", "1"),
        ("--schedule", "sigmoid", "--sampler", "ddim", "--draw-steps", "30"),
    ],
)
def test_a_short_run_writes_the_pictures(
    script: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    given = ("--data", str(data), "--out", str(tmp_path), "--steps", "3", "--batch", "2", "--draw-steps", "2", *options)
    monkeypatch.setattr(sys, "argv", ["pixel_diffusion.py", *given])
    script.main()
    assert Image.open(tmp_path / "samples.png").size == (2 * (8 * 29 + 1), 2 * (8 * 29 + 1))
    frames = 26 if "30" in options else 3
    assert Image.open(tmp_path / "denoising.gif").n_frames == frames
    assert Image.open(tmp_path / "loss.png").width > 300


def test_it_learns(script: ModuleType, data: Path) -> None:
    """On a few squares the error falls below that of guessing no noise at all, which is 1."""
    torch.manual_seed(0)
    options = script.argparse.Namespace(steps=60, batch=8, loss="mse", p2=0.0)
    unet, losses = script.train(script.read_images(data), DDPMScheduler(1000), options, "cpu")
    assert np.mean(losses[-10:]) < 0.5 < np.mean(losses[:3])
    assert not unet.training


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--steps", "0"), "--steps and --batch are at least 1"), (("--draw-steps", "1001"), "--draw-steps is from 1 to")],
)
def test_values_that_are_not_allowed(data: Path, options: tuple[str, str], said: str) -> None:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), "--data", str(data), *options], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2 and said in ended.stderr


def test_a_damaged_file_is_one_line(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"x" * 1000)[:-20])
    with pytest.raises(SystemExit, match=r"train-images-idx3-ubyte\.gz is damaged, or absent"):
        script.read_images(tmp_path)
