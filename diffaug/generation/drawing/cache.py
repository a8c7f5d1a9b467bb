"""The work cache: every finished image, named by the hash of all that it was made from."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from diffaug.dataset.codec import open_image
from diffaug.generation.plan.jobs import Job
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path


@dataclass(frozen=True)
class WorkCache:
    """PNG files in `folder`, which is named by the hash of everything that its images share."""

    folder: Path

    @classmethod
    def open(cls, root: Path, fingerprint: Mapping[str, str]) -> "WorkCache":
        """The cache below `root` for these settings."""
        return cls(root / _digest(dict(fingerprint))[:16])

    def path(self, job: Job, source: str | None) -> Path:
        """The path of the job's finished image. `source`: everything of the real image that the job uses."""
        return self.folder / f"{_digest({'job': asdict(job), 'source': source})[:32]}.png"


def _digest(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_drawn(path: Path) -> bytes:
    """The PNG of a drawn image. Raises UserError if it is damaged; it is removed then, so that it is drawn again."""
    data = path.read_bytes()
    try:
        open_image(data).verify()
    except (OSError, SyntaxError, ValueError, ImportError):  # the last one by Ultralytics, which wraps Image.open
        path.unlink()
        raise UserError(f"{path}: was damaged, and is removed; run `dvc repro` to draw it again") from None
    return data


class Writer:
    """Encodes and writes images in threads while the next batch is drawn; at most `pending` batches wait."""

    def __init__(self, threads: int, pending: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="write")
        self._waiting: deque[Sequence[Future[None]]] = deque()
        self._pending = pending

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            while self._waiting and kind is None:
                self._finish_oldest()
        finally:
            # What is drawn is written even after an error; only Ctrl-C does not wait for it.
            self._pool.shutdown(cancel_futures=kind is not None and not issubclass(kind, Exception))

    def submit(self, files: Mapping[Path, Callable[[], bytes]]) -> None:
        """Write to each path the bytes that its function returns. Raises the error of an earlier batch."""
        self._waiting.append([self._pool.submit(_write, path, encode) for path, encode in files.items()])
        while len(self._waiting) > self._pending:
            self._finish_oldest()

    def _finish_oldest(self) -> None:
        for future in self._waiting.popleft():
            future.result()


def _write(path: Path, encode: Callable[[], bytes]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(encode())
