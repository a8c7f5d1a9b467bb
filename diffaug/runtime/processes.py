"""Child processes of a stage: they end with it, and their last message is kept."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from diffaug.runtime.errors import in_words

_MARK = "diffaug says: "
_PARENT = "DIFFAUG_PARENT"  # environment variable: the id of the process that waits for this one
_LINES = 200  # of the output are kept
_POLL_SECONDS = 1.0


class Child:
    """A process whose output is read line by line; `hear` gets each line and says whether it was meant for it."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], hear: Callable[[str], bool] = lambda line: False
    ) -> None:
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **environment, _PARENT: str(os.getpid()), "PYTHONUTF8": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._said: deque[str] = deque(maxlen=_LINES)
        self._hear = hear
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not self._hear(line):
                self._said.append(line)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it has ended, and not well."""
        return self._process.poll() not in (None, 0)

    def stop(self) -> None:
        """End it, with its own children, and wait until they have ended."""
        if not self.running:
            return
        own = psutil.Process(self._process.pid)
        family = [*own.children(recursive=True), own]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in psutil.wait_procs(family, timeout=10)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """Its own message if there is one, otherwise the signal that ended it or the last line that names an error."""
        self._reader.join(timeout=10)
        code, lines = self._process.poll() or 0, list(self._said)
        if code < 0 and not any(_MARK in line for line in lines):
            return f"it was ended by signal {-code}, which is often the system's answer to a lack of memory"
        return last_words(lines)


def run_to_its_end(command: Sequence[str], environment: Mapping[str, str], folder: Path = Path()) -> int:
    """The exit status of a command that may run stages. Raises KeyboardInterrupt after it has ended: Ctrl-C reaches it
    too, and it closes what is open; subprocess.run would kill it after a moment, and leave its stage alone."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which reaches this process alone: it need not wait
    process, stopped = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}), False
    while process.poll() is None:
        try:
            process.wait()
        except KeyboardInterrupt:
            stopped = True
    if stopped:
        raise KeyboardInterrupt
    return process.returncode


def last_words(lines: Sequence[str]) -> str:
    """Our own message if there is one, otherwise the last line that names an error."""
    own = [line.partition(_MARK)[2] for line in lines if _MARK in line]
    told = own or [line for line in lines if "Error" in line] or [line for line in lines if line.strip()]
    return told[-1].strip()[:600] if told else "nothing"


def is_child() -> bool:
    """Whether a stage started this process as its child."""
    return _PARENT in os.environ


def report_error(error: Exception) -> str:
    """The line with which a child ends so that `last_words` finds its message."""
    return f"{_MARK}{in_words(error) if isinstance(error, OSError) else error}"


def end_with_parent() -> None:
    """End this process when its parent ends, so that no orphan continues after the stage was killed."""
    parent = int(os.environ[_PARENT])

    def watch() -> None:
        # On POSIX an orphan gets another parent at once. On Windows its parent is the launcher of the virtual
        # environment, and the number of the stage is no process any more.
        while psutil.pid_exists(parent) and (os.name == "nt" or os.getppid() == parent):
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
