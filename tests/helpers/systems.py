"""Marks for tests that only some systems can run. What is not marked runs on Linux, macOS and Windows."""

import os
import subprocess
import sys

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="uses signals, links, pipes or a shell, as POSIX has them")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def may_mount() -> bool:
    """Whether this process may mount a disk that only its children see."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


mounts = pytest.mark.skipif(not may_mount(), reason="only root may mount a small disk")
