"""A committed project in other places: moved, cloned in other ways, of another user, and without a network."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from project import copy_of, environment, run
from systems import posix

pytestmark = pytest.mark.slow

OTHER_USER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.fixture(scope="module")
def pushed(finished: Path) -> Iterator[Path]:
    """A copy that was pushed to the folder beside it, both readable for everybody."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        project = copy_of(finished, Path(folder) / "project")
        run(project, "dvc", "push", "-q")
        yield project


def is_up_to_date(project: Path) -> None:
    """For `dvc status` and `dvc repro`, which runs no stage."""
    assert "up to date" in run(project, "dvc", "status")
    assert "up to date" in run(project, "dvc", "repro")
    assert run(project, "git", "status", "--porcelain") == ""


def test_a_project_that_was_moved(finished: Path, tmp_path: Path) -> None:
    is_up_to_date(copy_of(finished, tmp_path / "a folder/项目"))


@pytest.mark.parametrize("options", [("--depth", "1"), ("-c", "core.autocrlf=true")], ids=["shallow", "autocrlf"])
def test_a_clone_of_another_kind(pushed: Path, options: tuple[str, ...]) -> None:
    clone = pushed.with_name("clone")
    run(pushed.parent, "git", "clone", "-q", *options, pushed.as_uri(), clone.name)
    try:
        run(clone, "dvc", "pull", "-q")
        is_up_to_date(clone)
    finally:
        shutil.rmtree(clone)


@posix
def test_another_user(pushed: Path) -> None:
    """Who may read the remote, but not write it."""
    python, packages = python_of_another_user(), sysconfig.get_path("purelib")
    clone = pushed.with_name("clone of another user")
    run(pushed.parent, "git", "clone", "-q", str(pushed), clone.name)
    run(pushed.parent, "chown", "-R", "65534:65534", clone.name)

    def done(*arguments: str) -> str:
        own = {"HOME": str(clone), "PYTHONPATH": os.pathsep.join([str(clone), packages])}
        command = [*OTHER_USER, "sh", "-c", 'exec "$0" "$@"', python, "-m", *arguments]
        finished = subprocess.run(command, cwd=clone, env=environment(clone) | own, capture_output=True, text=True)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    done("dvc", "pull", "-q")
    assert "up to date" in done("dvc", "status")
    assert "classifier accuracy" in done("diffaug.commands.main", "verdict")
    said = done("diffaug.commands.main", "doctor")
    assert "the folder is not writable for you: dvc pull works, dvc push does not\n" in said
    assert (clone / "models/det/merged-0/model.safetensors").stat().st_uid == 65534


def python_of_another_user() -> str:
    """A Python of this version that another user may start; skips the test if there is none."""
    for path in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        command = [*OTHER_USER, "sh", "-c", 'exec "$0" -c "import dvc"', path]
        try:
            own = {"PYTHONPATH": sysconfig.get_path("purelib")}
            if not subprocess.run(command, env=own, capture_output=True).returncode:
                return path
        except FileNotFoundError:
            break
    pytest.skip("no other user: this needs root, setpriv, and a Python that all users may start")


def test_every_stage_runs_without_a_network(finished: Path, without_network: tuple[str, ...]) -> None:
    """The project that all these tests use was made so."""
    if not without_network:
        pytest.skip("no namespace without a network: `unshare --net` is not allowed")
    connect = "import socket; socket.create_connection(('127.0.0.1', 9))"
    assert "Network is unreachable" in run(finished, *without_network, sys.executable, "-c", connect, fails=True)
    ran = yaml.safe_load((finished / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    assert {name.partition("@")[0].removesuffix("_merged") for name in ran} == {
        path.stem for path in (finished / "stages").glob("*.py")
    }
    assert (finished / "metrics/report.html").exists()
