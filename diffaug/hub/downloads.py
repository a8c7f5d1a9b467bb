"""Downloading a file: checked by its hash if known, tried again on failure, never left incomplete."""

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
    """Put the file at `path`, by PyTorch's downloader, which shows a progress bar and writes to a temporary file first.

    sha256: 64 hex digits, the hash of the file. Raises UserError, with the parameter `key`, if the file cannot be
    downloaded, with what to do then (`advice`), or if it has another hash.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    reason: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            with time_limit(_TIMEOUT):
                torch.hub.download_url_to_file(url, str(path), hash_prefix=sha256)
            return
        except RuntimeError:
            raise UserError(f"{key}: {url} does not have the sha256 {sha256}; it was removed unopened") from None
        except (OSError, ValueError, http.client.HTTPException) as error:  # an HTTPError is an OSError
            reason = error
            if getattr(error, "code", 500) < 500:  # the server answered that it does not have the file
                break
    said = reason if hasattr(reason, "code") else getattr(reason, "reason", reason)  # urllib wraps the original error
    raise UserError(f"{key}: {url} cannot be downloaded ({said}); {advice}")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Sockets opened inside fail after this many seconds without an answer; by default libraries wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
