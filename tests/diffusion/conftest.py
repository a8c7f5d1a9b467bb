import shutil
from pathlib import Path

import pytest
import small_models


@pytest.fixture(scope="session")
def saved_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole Stable Diffusion of real parts with small random weights; not to be changed."""
    return small_models.stable_diffusion(tmp_path_factory.mktemp("models") / "saved")


@pytest.fixture
def pipeline(saved_pipeline: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(saved_pipeline, tmp_path / "pipeline"))
