"""Pushing from one machine and pulling on another, on a folder remote and on an S3 server."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
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


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3 server on this machine with the bucket "images"."""
    for name, value in {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="images")
    yield f"http://{host}:{port}"
    server.stop()


def test_push_and_pull_on_s3(finished: Path, tmp_path: Path, s3: str) -> None:
    """As README says: the remote's address is changed and committed before the push."""
    project = copy_of(finished, tmp_path / "here/project")
    run(project, "dvc", "remote", "modify", "storage", "url", "s3://images/my project")
    run(project, "dvc", "remote", "modify", "storage", "endpointurl", s3)
    run(project, "git", "commit", "-qam", "remote")
    run(project, "dvc", "push", "-q")
    run(tmp_path, "git", "clone", "-q", str(project), "there/图像 2")
    clone = tmp_path / "there/图像 2"
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
