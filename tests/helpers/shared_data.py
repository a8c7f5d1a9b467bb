"""Real photographs next to the repository, or in $DIFFAUG_SHARED; without them, tests that need them are skipped."""

import os
from pathlib import Path

import pytest

_SHARED = Path(os.environ.get("DIFFAUG_SHARED", Path(__file__).resolve().parents[3] / "shared"))


def shared(name: str) -> Path:
    """A file or folder of the shared data; skips the test if it is absent."""
    return _existing(_SHARED / "data" / name)


def shared_weights(name: str) -> Path:
    """A file of trained weights; skips the test if it is absent."""
    return _existing(_SHARED / "weights" / name)


def _existing(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    return path
