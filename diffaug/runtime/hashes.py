"""Hashes of large files, remembered by path, size and time of change, so that gigabytes are read once."""

import contextlib
import hashlib
import json
import time
from pathlib import Path

from diffaug.runtime.files import atomic_path, file_sha256
from diffaug.runtime.work import work_folder

_LARGE = 32 * 2**20  # bytes; smaller files are hashed in less time than it takes to look
_SETTLED_SECONDS = 10  # a file that changed just now could change again without another time


def weights_sha256(path: Path) -> str:
    """The hash of a file's bytes; of a large one, read again only if its size or time of change is another."""
    state = path.stat()
    if state.st_size < _LARGE:
        return file_sha256(path)
    place = path.resolve()
    seen = [str(place), state.st_size, state.st_mtime_ns, state.st_ino]
    try:
        memory = work_folder("checked") / f"{hashlib.sha256(str(place).encode()).hexdigest()[:32]}.hash"
    except OSError:  # nothing can be written here
        return file_sha256(path)
    with contextlib.suppress(OSError, ValueError, TypeError):
        known = json.loads(memory.read_text(encoding="utf-8"))
        if known[:-1] == seen:
            return str(known[-1])
    found = file_sha256(path)
    if time.time() - state.st_mtime > _SETTLED_SECONDS:
        with contextlib.suppress(OSError), atomic_path(memory) as temporary:
            temporary.write_text(json.dumps([*seen, found]), encoding="utf-8")
    return found
