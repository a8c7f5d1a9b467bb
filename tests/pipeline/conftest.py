import re
import shutil
import subprocess
from pathlib import Path

import pytest
from project import commit, make_project, run


@pytest.fixture(scope="session")
def without_network() -> tuple[str, ...]:
    """What runs a command in a namespace that has no network, not even a loopback; empty where that is not allowed."""
    prefix = ("unshare", "--net")
    allowed = shutil.which("unshare") and not subprocess.run([*prefix, "true"], capture_output=True).returncode
    return prefix if allowed else ()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, without_network: tuple[str, ...]) -> Path:
    """A project on which `dvc repro` has run once, without a network, committed. Tests use copies of it."""
    folder = make_project(tmp_path_factory.mktemp("pipeline") / "finished")
    ran = set(re.findall(r"Running stage '([^']+)'", run(folder, *without_network, "dvc", "repro")))
    assert ran == {
        "download",
        "train_gen",
        "generate",
        "filter",
        "merge@0",
        *(name for task in ("cls", "det") for name in (f"train_{task}@real-0", f"train_{task}_merged@0")),
        "evaluate",
        "report",
    }
    commit(folder, "run")
    return folder
