import re
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock
from project import commit, make_project, run


@pytest.fixture(scope="session")
def without_network() -> tuple[str, ...]:
    """What runs a command in a namespace that has no network, not even a loopback; empty where that is not allowed."""
    prefix = ("unshare", "--net")
    allowed = shutil.which("unshare") and not subprocess.run([*prefix, "true"], capture_output=True).returncode
    return prefix if allowed else ()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str, without_network: tuple[str, ...]) -> Path:
    """A project on which `dvc repro` has run once, without a network, committed. Tests use copies of it; the processes
    that run the tests share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "finished"
    done = folder.with_suffix(".done")
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _finish(make_project(folder), without_network)
            done.touch()
    return folder


def _finish(folder: Path, without_network: tuple[str, ...]) -> None:
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
