"""The largest memory of a process and its children while code runs, measured in the same way on every system."""

import contextlib
import threading
from types import TracebackType

import psutil

_EVERY = 0.5  # seconds; a shorter peak between two samples is missed


class PeakMemory:
    """While entered, samples the resident memory of this process and its children, and keeps the largest sum.

    Pages that processes share count once for each of them.
    """

    def __init__(self) -> None:
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._look()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    @property
    def mebibytes(self) -> int:
        """The largest sum that was measured."""
        return round(self._peak / 2**20)

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        total = 0
        try:
            own = psutil.Process()
            for process in (own, *own.children(recursive=True)):
                with contextlib.suppress(psutil.Error):  # the process has ended
                    total += process.memory_info().rss
        except psutil.Error:  # the children cannot be listed at this moment
            return
        self._peak = max(self._peak, total)
