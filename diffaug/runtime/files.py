"""Files that are either complete or absent."""

import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from safetensors import SafetensorError

_TRIES, _WAIT_SECONDS = 20, 0.05
_MACHINE = re.sub(r"\W", "_", platform.node())[:30]  # a folder may be shared, and every machine counts its processes
_TEMPORARY = re.compile(r"\..+\.(?P<machine>\w*)-(?P<process>\d+)\.tmp")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success it is flushed to disk and replaces `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{_MACHINE}-{os.getpid()}.tmp")
    try:
        with _naming(path, temporary):
            yield temporary
            with temporary.open("rb+") as handle:
                os.fsync(handle.fileno())
            _move(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """Errors of the disk inside name `path`: most libraries leave the file out, and safetensors has its own error."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


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
    with _naming(folder, temporary):
        write(temporary)
        for file in (path for path in temporary.rglob("*") if path.is_file()):
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


def sweep(folder: Path) -> None:
    """Remove the temporary files below the folder that processes of this machine left when they were killed."""
    for path in folder.rglob(".*.tmp"):
        name = _TEMPORARY.fullmatch(path.name)
        if name and name["machine"] == _MACHINE and not psutil.pid_exists(int(name["process"])):
            path.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
