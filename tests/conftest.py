import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import segmenters
import small_models
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=20, help="how many times test_random_kills.py kills the pipeline")


def pytest_configure(config: pytest.Config) -> None:
    """One thread in each of several processes: more threads than cores run many times slower."""
    if hasattr(config, "workerinput"):
        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns a small model by the name of its function in small_models or small_transformers; each is made once."""
    import small_transformers  # here, since it takes a while and few tests need it

    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            place = tmp_path_factory.mktemp("models") / name
            base, _, kind = name.partition("-")
            if kind == "controlnet":
                made[name] = small_models.controlnet(place, folder(base))
            elif base == "latent8":
                made[name] = small_models.stable_diffusion(place, latent_channels=8)
            else:
                make = getattr(small_models, base, None) or getattr(small_transformers, base)
                made[name] = make(place)
        return made[name]

    return folder


@pytest.fixture(scope="session")
def random_pipeline(model_folder: Callable[[str], Path]) -> Path:
    """A complete Stable Diffusion of real parts with small random weights, saved as a diffusers folder."""
    return model_folder("stable_diffusion")


@pytest.fixture(scope="session")
def saved_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete Stable Diffusion of real parts with small random weights; tests must not change it."""
    return small_models.stable_diffusion(tmp_path_factory.mktemp("models") / "saved")


@pytest.fixture(scope="session")
def judge(model_folder: Callable[[str], Path]) -> Path:
    """An aesthetic predictor of real parts with small random weights: CLIP and head in one folder."""
    return model_folder("aesthetic_predictor")


@pytest.fixture
def pipeline(saved_pipeline: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(saved_pipeline, tmp_path / "pipeline"))


@pytest.fixture(scope="session")
def taught_sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SAM that finds ellipses; tests must not change it."""
    return segmenters.taught_sam(tmp_path_factory.mktemp("models") / "sam")


@pytest.fixture(scope="session")
def taught_clipseg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIPSeg that finds yellow ellipses by the word cat, cyan ones by dog; tests must not change it."""
    return segmenters.taught_clipseg(tmp_path_factory.mktemp("models") / "clipseg")
