"""The exception whose message is shown to the user, and the errors of the system in words."""

import errno
import os
import shutil
from pathlib import Path

from diffaug.runtime.text import printable

_FULL = {errno.ENOSPC, errno.EFBIG, *(getattr(errno, name) for name in ("EDQUOT",) if hasattr(errno, name))}
_LONGEST = 200  # characters of a name in a message
_FORBIDDEN = {errno.EACCES, errno.EPERM}


class UserError(Exception):
    """Bad input. The message is one line: what was found, where, what is allowed, what to do."""

    def __str__(self) -> str:
        return printable(super().__str__())


def in_words(error: OSError) -> str:
    """One line: the file, what the system says about it, and what to do."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes, os.PathLike)) else ""
    said = printable(f"{name}: {error.strerror}" if name and error.strerror else str(error))
    if error.errno in _FULL:
        return f"{said}{_space(Path(name))}; make room and run again: what is finished is kept"
    if error.errno in _FORBIDDEN:
        return f"{said}; give yourself the right to read it, and to write in its folder, and run again"
    return f"{said}; correct this and run again"


def not_utf8(error: UnicodeError) -> str:
    """One line for a name that is no UTF-8: Python reads it, and nothing can write it."""
    if not isinstance(error, UnicodeEncodeError):
        return f"a text is not UTF-8 ({error}); save it as UTF-8, or leave it out"
    name = printable(error.object) if len(error.object) <= _LONGEST else f"{printable(error.object[:_LONGEST])}..."
    return f"the name {name} is not UTF-8, so nothing can store it; rename this file, folder or class"


def _space(file: Path) -> str:
    """How much is free on the disk of a file that need not exist."""
    folder = next((one for one in (file, *file.absolute().parents) if one.is_dir()), Path())
    free = shutil.disk_usage(folder).free
    return f" ({free / 2**20:.0f} MiB are free on the disk of {folder.absolute()})"
