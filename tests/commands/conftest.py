import shutil
from pathlib import Path

import pytest
from tiny_dvc import make_tiny


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small DVC project, run and pushed; tests use copies of it."""
    return make_tiny(tmp_path_factory.mktemp("doctor"))


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project and its remote."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    shutil.copytree(made.parent, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here/project")
    return tmp_path / "here/project"
