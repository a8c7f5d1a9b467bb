import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from diffaug.hub.downloads import download
from diffaug.runtime.errors import UserError

DATA = b"whole" * 1000


@pytest.fixture
def server() -> Iterator[tuple[str, list[int]]]:
    """An address that answers with these codes, one after another; 200 sends DATA."""
    answers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code = answers.pop(0) if answers else 200
            self.send_response(code)
            self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            if code == 200:
                self.wfile.write(DATA)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/file.bin", answers
        running.shutdown()


def test_a_server_that_stumbles_is_asked_again(server: tuple[str, list[int]], tmp_path: Path) -> None:
    url, answers = server
    answers += [503, 500]
    download(url, tmp_path / "new/file.bin", "key", "do this", hashlib.sha256(DATA).hexdigest())
    assert (tmp_path / "new/file.bin").read_bytes() == DATA
    answers += [503] * 3
    with pytest.raises(
        UserError, match=r"key: http.*file\.bin cannot be downloaded \(.*Service Unavailable\); do this"
    ):
        download(url, tmp_path / "other.bin", "key", "do this")
    assert answers == []


def test_what_is_not_there_is_asked_for_once(server: tuple[str, list[int]], tmp_path: Path) -> None:
    url, answers = server
    answers += [404, 200]
    with pytest.raises(UserError, match=r"key: .* cannot be downloaded .*Not Found.*; do this"):
        download(url, tmp_path / "file.bin", "key", "do this")
    assert answers == [200] and list(tmp_path.iterdir()) == []


def test_another_hash_leaves_nothing(server: tuple[str, list[int]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not have the sha256 0{64}; it was removed unopened"):
        download(server[0], tmp_path / "file.bin", "key", "do this", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be downloaded \(.*Connection refused\); do this"):
        download("http://127.0.0.1:9/file.bin", tmp_path / "file.bin", "key", "do this")
