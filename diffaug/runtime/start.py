"""What a process does before anything else: it learns to end with one line, and looks at the encoding of names."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

STOPPED = "stopped; finished work is kept, run again to continue"
_NAME = Path(sys.argv[0] if sys.argv else "").stem
# Only a process that runs a stage: whoever imports one, as a test does, keeps the signals.
_IS_STAGE = Path(getattr(sys.modules.get("__main__"), "__file__", None) or "").parent.name == "stages"


def begin(name: str) -> None:
    """From here on, Ctrl-C and SIGTERM end the process with one line; also while modules are imported, where an
    exception would end as a traceback. Ends it if names of files would be read wrongly."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_at_once)
    encoding = sys.getfilesystemencoding()
    if encoding.replace("-", "").lower() != "utf8":
        sys.exit(
            f"{name}: this terminal's encoding is {encoding}, in which names of files and classes would be read "
            "wrongly; set the environment variable PYTHONUTF8=1 and run again"
        )
    for stream in (sys.stdout, sys.stderr):  # on Windows, a pipe may have another encoding
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def interruptible() -> None:
    """After `begin`: from here on, Ctrl-C and SIGTERM raise KeyboardInterrupt, so that what is open is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is _end_at_once:
            signal.signal(number, signal.default_int_handler)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os.write(2, f"{_NAME}: {STOPPED}\n".encode())
    os._exit(1)


if _IS_STAGE:
    begin(_NAME)
