"""Downloading a file: checked by its hash where one is known, tried again, never left half written."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from diffaug.runtime.errors import UserError

_ATTEMPTS = 3
_TIMEOUT = 30  # seconds without an answer


def download(url: str, path: Path, key: str, advice: str, sha256: str | None = None) -> None:
    """Put the file at `path`, by PyTorch's downloader, which shows a progress bar and writes beside it first.

    sha256: 64 hex digits that the file must have. Raises UserError with the parameter `key` where the file cannot be
    had, and what to do then (`advice`), or where it has another hash.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    reason: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            with time_limit(_TIMEOUT):
                torch.hub.download_url_to_file(url, str(path), hash_prefix=sha256)
            return
        except RuntimeError:
            raise UserError(f"{key}: {url} does not have the sha256 {sha256}; it was not opened, and removed") from None
        except (OSError, ValueError, http.client.HTTPException) as error:  # an HTTPError is an OSError
            reason = error
            if getattr(error, "code", 500) < 500:  # the server has answered: it does not have the file
                break
    said = reason if hasattr(reason, "code") else getattr(reason, "reason", reason)  # urllib wraps what failed
    raise UserError(f"{key}: {url} cannot be had ({said}); {advice}")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Sockets that are opened inside give up after so many seconds without an answer; libraries wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
