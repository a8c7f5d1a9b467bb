"""Pushing from one machine and pulling on another, on a folder remote."""

from pathlib import Path

import pytest
from project import copy_of, run

pytestmark = pytest.mark.slow


def test_push_clone_pull(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "here/project")
    run(project, "dvc", "push", "-q")
    run(tmp_path, "git", "clone", "-q", str(project), "here/clone")
    clone = tmp_path / "here/clone"

    # Without any data: no stage runs, and nothing is pulled.
    output = run(clone, "dvc", "repro", "--pull", "--allow-missing")
    assert "Running stage" not in output

    run(clone, "dvc", "pull", "-q")
    assert "up to date" in run(clone, "dvc", "status")
    assert "Running stage" not in run(clone, "dvc", "repro")
    for name in ("data/merged/cls/train/part-00000.parquet", "models/det/merged-0/model.safetensors"):
        assert (clone / name).read_bytes() == (project / name).read_bytes()


def test_a_damaged_image_is_noticed(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    part = project / "data/real/cls/train/part-00000.parquet"
    content = bytearray(part.read_bytes())
    content[content.index(b"\x89PNG") + 20] ^= 0xFF
    part.unlink()  # it may be a link to the cache
    part.write_bytes(bytes(content))
    output = run(project, "python", "stages/train_cls.py", "real", "0", fails=True)
    assert "part-00000.parquet" in output
    assert "Traceback" not in output
