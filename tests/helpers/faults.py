"""A signal at a chosen moment: a process ends itself when it is about to finish its n-th file."""

import signal
from pathlib import Path

_CODE = """
import os
_fsync, _calls = os.fsync, 0

def fsync(handle):
    global _calls
    _calls += 1
    if _calls == {number}:
        os.kill(os.getpid(), {signal})
    _fsync(handle)

os.fsync = fsync
"""


def at_write(folder: Path, number: int, what: signal.Signals) -> str:
    """Write a module into the folder that every Python process with it in PYTHONPATH runs first; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_CODE.format(number=number, signal=int(what)))
    return str(folder)
