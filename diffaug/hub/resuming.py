"""Large files of Hugging Face, so that a killed download goes on where it was: huggingface_hub begins each anew."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import build_hf_headers

from diffaug.runtime.errors import UserError
from diffaug.runtime.files import file_sha256
from diffaug.runtime.work import hold

_SHA256 = re.compile(r"[0-9a-f]{64}")  # the ETag of a large file


def fetch_large(
    name: str, revision: str | None, files: Sequence[str], kind: Literal["model", "dataset"], place: str
) -> None:
    """Put the contents of the large files among these into the cache of huggingface_hub, which then finds them.

    It is plain HTTP, also where the hub offers Xet. Raises UserError, which begins with `place`, for a file without
    the SHA-256 that the hub states, and the errors of huggingface_hub.
    """
    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type=kind) / "blobs"
    for file in files:
        if isinstance(try_to_load_from_cache(name, file, revision=revision, repo_type=kind), str):
            continue
        url = hf_hub_url(name, file, repo_type=kind, revision=revision)
        found = get_hf_file_metadata(url, token=None)
        if found.etag is None or found.size is None or not _SHA256.fullmatch(found.etag):
            continue  # a small file
        if found.size <= constants.MAX_HTTP_DOWNLOAD_SIZE:
            same_host = urlsplit(found.location).netloc == urlsplit(url).netloc
            headers = build_hf_headers() if same_host else build_hf_headers(token=False)
            _fetch(found.location, headers, blobs / found.etag, found.size, f"{place}: {file} of {name}")


def _fetch(url: str, headers: dict[str, str], blob: Path, size: int, what: str) -> None:
    """blob: named by the SHA-256 of its content."""
    part = blob.with_name(f"{blob.name}.diffaug.incomplete")  # `hf cache prune` removes it
    part.parent.mkdir(parents=True, exist_ok=True)
    locks = Path(constants.HF_HUB_CACHE) / ".locks"
    locks.mkdir(exist_ok=True)
    with hold(locks / f"{blob.name}.diffaug.lock"):
        if blob.exists():
            return
        if part.exists() and part.stat().st_size > size:
            part.unlink()
        with part.open("ab") as handle:
            http_get(url, handle, resume_size=handle.tell(), headers=headers, expected_size=size)
        if file_sha256(part) != blob.name:
            part.unlink()
            raise UserError(f"{what} does not have the SHA-256 that the hub states; it was removed; run again")
        part.replace(blob)
