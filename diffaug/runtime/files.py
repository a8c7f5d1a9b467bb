"""Files that are either complete or absent."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_TRIES, _WAIT_SECONDS = 20, 0.05


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success it is flushed to disk and replaces `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        _move(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _move(temporary: Path, path: Path) -> None:
    """Put the file into its place. Windows refuses while another process has the old one open, so it is tried again."""
    for _ in range(_TRIES if os.name == "nt" else 0):
        try:
            temporary.replace(path)
            return
        except PermissionError:
            time.sleep(_WAIT_SECONDS)
    temporary.replace(path)


def replace_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Replace a folder by one that `write` fills, completely or not at all."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


def file_sha256(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
