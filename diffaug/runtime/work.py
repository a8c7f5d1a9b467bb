"""Work folders, and the lock of the process that uses one."""

import os
import sys
from pathlib import Path

from filelock import FileLock, Timeout


def work_folder(name: str) -> Path:
    """The stage's scratch folder, below .work or below $DIFFAUG_WORK; made if missing."""
    folder = Path(os.environ.get("DIFFAUG_WORK", ".work")) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def hold(path: Path) -> FileLock:
    """The lock of a work folder, held; it says so when another process has it, and waits."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{path}: another run uses this; waiting for it to end", file=sys.stderr)
        lock.acquire()
    return lock
