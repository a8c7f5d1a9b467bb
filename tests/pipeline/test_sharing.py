"""Pushing from one machine and pulling on another, on a folder remote and on an S3 server."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from project import copy_of, run
from s3_server import CREDENTIALS, s3_server

pytestmark = pytest.mark.slow

PART, MODEL = "data/merged/0/cls/train/part-00000.parquet", "models/det/merged-0/model.safetensors"


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
    for name in (PART, MODEL):
        assert (clone / name).read_bytes() == (project / name).read_bytes()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ThreadedMotoServer]]:
    """An S3 server on this machine, and credentials for it."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")  # DVC would ask a killed server five times
    with s3_server() as started:
        yield started


def push_to(project: Path, address: str) -> None:
    """As README says: the remote's address is changed and committed before the push."""
    run(project, "dvc", "remote", "modify", "storage", "url", "s3://images/my project")
    run(project, "dvc", "remote", "modify", "storage", "endpointurl", address)
    run(project, "git", "commit", "-qam", "remote")
    run(project, "dvc", "push", "-q")


def test_push_and_pull_on_s3(finished: Path, tmp_path: Path, server: tuple[str, ThreadedMotoServer]) -> None:
    project, clone = copy_of(finished, tmp_path / "here/project"), tmp_path / "there/图像 2"
    push_to(project, server[0])
    run(tmp_path, "git", "clone", "-q", str(project), str(clone))
    run(clone, "dvc", "pull", "-q")
    for name in (PART, MODEL):
        assert (clone / name).read_bytes() == (project / name).read_bytes()
    assert "next:" not in run(clone, "diffaug", "doctor")

    server[1].stop()  # the server is killed
    assert "up to date" in run(clone, "dvc", "repro")
    assert "Traceback" not in run(clone, "dvc", "pull", "-q", fails=True)
    said = run(clone, "diffaug", "doctor", fails=True)
    assert f"remote storage (s3://images/my project): the server ({server[0]}) does not answer" in said
    assert "Traceback" not in said


def test_damage_on_s3_is_noticed_and_mended(
    finished: Path, tmp_path: Path, server: tuple[str, ThreadedMotoServer]
) -> None:
    project = copy_of(finished, tmp_path / "here/project")
    push_to(project, server[0])
    bucket = boto3.resource("s3", endpoint_url=server[0]).Bucket("images")
    corrupt, missing = (bucket.Object(key_of(project / name)) for name in (PART, MODEL))
    good = corrupt.get()["Body"].read()
    corrupt.put(Body=bytes([good[0] ^ 1]) + good[1:])
    missing.delete()

    run(tmp_path, "git", "clone", "-q", str(project), "clone")
    clone = tmp_path / "clone"
    for name in (PART, MODEL):
        run(clone, "dvc", "pull", "-q", Path(name).parent.as_posix(), fails=True)
    said = run(clone, "diffaug", "doctor", "--remove", fails=True)
    assert f"remote storage: {PART} is corrupt: s3://images/{corrupt.key}\n" in said
    assert f"remote storage: {MODEL} is missing, though its folder's list is there: s3://images/{missing.key}\n" in said
    assert "no copy is good of outs of: merge@0, train_det_merged@0; these stages have to run again" in said

    run(project, "dvc", "push", "-q")
    run(clone, "dvc", "pull", "-q", Path(PART).parent.as_posix(), Path(MODEL).parent.as_posix())
    for name in (PART, MODEL):
        assert (clone / name).read_bytes() == (project / name).read_bytes()
    assert "objects in dvc.lock: 0 corrupt, 0 missing\n" in run(clone, "diffaug", "doctor")


def key_of(path: Path) -> str:
    """The key of a file's object on the server."""
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    return f"my project/files/md5/{md5[:2]}/{md5[2:]}"


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
