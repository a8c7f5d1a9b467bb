"""The seal of an output folder: the hidden list of its files' hashes, by which a reader knows that they are as written.

DVC takes what lies in its cache for what was made: a damaged file is served, pushed and pulled without a word.
"""

import contextlib
import hashlib
import json
import re
from pathlib import Path

from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path, file_sha256
from diffaug.runtime.work import work_folder

_LINE = re.compile(r"[0-9a-f]{64}  \S.*")
SEAL = ".sha256"  # hidden, since `datasets` then leaves it out; as `sha256sum` writes it


def seal(folder: Path) -> None:
    """Write the list of all files below the folder, with their SHA-256."""
    lines = [f"{file_sha256(folder / name)}  {name}\n" for name in _names(folder)]
    with atomic_path(folder / SEAL) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8", newline="\n")


def check_seal(folder: Path) -> None:
    """Raises UserError if a file of the folder is missing, new, or not as it was written.

    Files that were checked before are hashed again only if their size or time of change is another.
    """
    fault = _fault(folder)
    if fault is not None:
        raise UserError(
            f"{fault}: it was edited by hand, or DVC's cache has a damaged copy of it; `diffaug doctor --remove` "
            "removes damaged copies, then `dvc pull` or `dvc repro` brings the file back"
        )


def is_sealed(folder: Path) -> bool:
    """Whether the folder is there, complete, and as it was written."""
    return folder.is_dir() and _fault(folder) is None


def _fault(folder: Path) -> str | None:
    """The first file that is not as it was written, and what is wrong with it."""
    try:
        lines = (folder / SEAL).read_text(encoding="utf-8").split("\n")[:-1]
    except FileNotFoundError:
        return f"{folder / SEAL} is missing"
    except UnicodeDecodeError:
        lines = [""]
    if not all(map(_LINE.fullmatch, lines)):
        return f"{folder / SEAL} is not as it was written"
    names = _names(folder)
    seen = json.dumps([lines, [[name, *_state(folder / name)] for name in names]])
    memory = _memory(folder)
    if memory is not None and _remembered(memory) == _digest(seen).encode():
        return None
    sealed = dict(reversed(line.partition("  ")[::2]) for line in lines)
    for name in sorted({*sealed, *names}):
        if name not in sealed:
            return f"{folder / name} is not one of the files that were written (remove it)"
        if name not in names:
            return f"{folder / name} is missing"
        if file_sha256(folder / name) != sealed[name]:
            return f"{folder / name} is not as it was written (its sha256 differs)"
    if memory is not None:
        with contextlib.suppress(OSError), atomic_path(memory) as temporary:
            temporary.write_text(_digest(seen), encoding="utf-8")
    return None


def _names(folder: Path) -> list[str]:
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in files if not _is_nothing(name))


def _is_nothing(name: str) -> bool:
    """Whether it is the seal, or a file that a desktop or a file system leaves behind and nobody reads."""
    own = name.rpartition("/")[2]
    return own.startswith(".") or own.endswith(".cache") or own.lower() in ("thumbs.db", "desktop.ini")


def _remembered(memory: Path) -> bytes | None:
    try:
        return memory.read_bytes()
    except OSError:  # there is none, or it is another user's
        return None


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _memory(folder: Path) -> Path | None:
    """The file that remembers the last check of the folder; None if nothing can be written here."""
    try:
        return work_folder("checked") / _digest(str(folder.resolve()))[:32]
    except OSError:
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
