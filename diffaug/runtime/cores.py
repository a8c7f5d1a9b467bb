"""How many processes compute side by side, and with how many threads: together never more than the cores."""

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import joblib
import psutil

_NEEDED = 3 * 2**30  # bytes of memory that one training or one drawing process is assumed to need on a CPU
# Where none of these exists, no GPU can be used, and torch, which takes seconds to import, need not be asked.
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
_TOOLS = ("nvidia-smi", "rocm-smi")
# What a container may use, version 2 and 1 of control groups.
_LIMITS = tuple(Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory/memory.limit_in_bytes"))


def threads() -> int:
    """The threads of one of several processes on a CPU: 1, or the user's OMP_NUM_THREADS.

    It never depends on how many run side by side, since the number of threads changes the rounding of a CPU's sums.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) > 0 else 1


@cache
def gpus() -> tuple[str, ...]:
    """The names of the GPUs that torch can use; none on a machine that computes with its CPU."""
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    if not (apple or any(map(shutil.which, _TOOLS)) or any(Path(path).exists() for path in _DRIVERS)):
        return ()
    import torch

    if torch.cuda.is_available():
        return tuple(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    return ("mps",) if torch.backends.mps.is_available() else ()


def side_by_side(wanted: int | None, needed: int = _NEEDED) -> int:
    """How many processes run at once: as many as wanted or, without a wish, one per GPU; on a CPU as many as the cores
    have threads for and the memory holds, if each needs `needed` bytes. On a CPU never more than the cores."""
    if gpus():
        return wanted or len(gpus())
    cores = max(1, joblib.cpu_count() // threads())
    return min(cores, wanted or max(1, memory() // max(needed, _NEEDED)))


def memory() -> int:
    """Bytes of memory of the machine, or of the container."""
    limits = [path.read_text(encoding="ascii").strip() for path in _LIMITS if path.exists()]
    return min([psutil.virtual_memory().total, *(int(limit) for limit in limits if limit.isdigit())])


def environment(place: int) -> Mapping[str, str]:
    """Environment variables for the process of this place, 0 or more: its GPU, or its threads of the CPU."""
    if gpus() == ("mps",):
        return {}
    if gpus():
        given = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
        number = place % len(gpus())
        shared = str(max(1, joblib.cpu_count() // len(gpus())))
        return {
            "CUDA_VISIBLE_DEVICES": given[number] if given else str(number),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", shared),
        }
    return {"OMP_NUM_THREADS": str(threads())}
