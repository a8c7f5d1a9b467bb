from pathlib import Path

import pytest
from project import commit, make_project, repro


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on which `dvc repro` has run once, committed. Tests use copies of it."""
    folder = make_project(tmp_path_factory.mktemp("pipeline") / "finished")
    ran = repro(folder)
    assert ran == {
        "download",
        "train_gen",
        "generate",
        "filter",
        "merge",
        *(f"train_{task}@{arm}-0" for task in ("cls", "det") for arm in ("real", "merged")),
        "evaluate",
        "report",
    }
    commit(folder, "run")
    return folder
