"""Large files are hashed once, and again when they have changed."""

import os
import time
from pathlib import Path

import pytest

from diffaug.runtime import hashes
from diffaug.runtime.files import file_sha256
from diffaug.runtime.hashes import weights_sha256


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are hashed; a file of 100 bytes is large."""
    names: list[str] = []

    def noted(path: Path) -> str:
        names.append(path.name)
        return file_sha256(path)

    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    monkeypatch.setattr(hashes, "_LARGE", 100)
    monkeypatch.setattr(hashes, "file_sha256", noted)
    return names


def write(path: Path, content: bytes, seconds_ago: float = 60) -> Path:
    path.write_bytes(content)
    then = time.time() - seconds_ago
    os.utime(path, (then, then))
    return path


def test_a_large_file_is_read_once_also_through_a_link(tmp_path: Path, read: list[str]) -> None:
    file = write(tmp_path / "a.safetensors", b"a" * 100)
    expected = file_sha256(file)
    assert [weights_sha256(file) for _ in range(3)] == [expected] * 3
    (tmp_path / "b.safetensors").hardlink_to(file)
    assert weights_sha256(tmp_path / "b.safetensors") == expected
    assert read == ["a.safetensors", "b.safetensors"]


def test_a_changed_file_is_read_again(tmp_path: Path, read: list[str]) -> None:
    file = write(tmp_path / "a.safetensors", b"a" * 100)
    weights_sha256(file)
    assert weights_sha256(write(file, b"b" * 100, 50)) == file_sha256(file)
    assert weights_sha256(write(file, b"b" * 101, 50)) == file_sha256(file)
    assert len(read) == 3


def test_a_file_of_this_moment_is_not_remembered(tmp_path: Path, read: list[str]) -> None:
    file = write(tmp_path / "a.safetensors", b"a" * 100, 0)
    for _ in range(2):
        weights_sha256(file)
    assert len(read) == 2


def test_a_damaged_memory_is_no_error(tmp_path: Path, read: list[str]) -> None:
    file = write(tmp_path / "a.safetensors", b"a" * 100)
    weights_sha256(file)
    for memory in (tmp_path / "work/checked").glob("*.hash"):
        memory.write_text("[")
    assert weights_sha256(file) == file_sha256(file)
