"""A ModelScope on this machine: the addresses that modelscope-hub uses, over real HTTP, from folders on the disk."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from serving import running

COMMIT = "5c09e" * 8
TOKEN = "a-token"
_ADDRESS = re.compile(r"/api/v1/(models|datasets)/([\w.-]+/[\w.-]+)/(repo/files|repo/tree|repo)")


class _Handler(BaseHTTPRequestHandler):
    server: "ModelScopeServer"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path.startswith("/lfs/"):
            return self._send(query["file"], self.server.contents[url.path.removeprefix("/lfs/")])
        match = _ADDRESS.fullmatch(url.path)
        if match is None:
            return self._say(HTTPStatus.NOT_FOUND, "no such address")
        kind, name, what = match.groups()
        self.server.requests.append(f"{what} {name} {query.get('FilePath', '')}".strip())
        folder = self.server.folders.get(f"{kind}/{name}")
        if folder is None or query["Revision"] != COMMIT:
            return self._say(HTTPStatus.NOT_FOUND, "模型不存在" if kind == "models" else "数据集不存在")
        if name in self.server.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._say(HTTPStatus.FORBIDDEN, "access denied")
        if what != "repo":
            return self._list(folder, query)
        path = folder / query["FilePath"]
        if not path.is_file():
            return self._say(HTTPStatus.NOT_FOUND, "file not found")
        if path.suffix not in (".safetensors", ".parquet"):
            return self._send(path.name, path.read_bytes())
        # Large files are on another host.
        key = _sha256(path)
        self.server.contents[key] = path.read_bytes()
        return self._answer(HTTPStatus.FOUND, b"", {"Location": f"/lfs/{key}?file={path.name}"})

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the test's output clean."""

    def _list(self, folder: Path, query: dict[str, str]) -> None:
        """As ModelScope lists files: folders too, and data sets page by page."""
        entries = []
        for path in sorted(folder.rglob("*")):
            entry = {"Name": path.name, "Path": path.relative_to(folder).as_posix(), "Revision": COMMIT}
            if path.is_file():
                entry |= {"Type": "blob", "Size": path.stat().st_size, "Sha256": _sha256(path)}
            else:
                entry |= {"Type": "tree", "Size": 0, "Sha256": ""}
            entries.append(entry | self.server.said.get(entry["Path"], {}))
        if "PageNumber" in query:
            size = int(query["PageSize"])
            entries = entries[(int(query["PageNumber"]) - 1) * size :][:size]
        self._json(HTTPStatus.OK, {"Code": 200, "Data": {"Files": entries}, "Message": "success", "Success": True})

    def _send(self, name: str, content: bytes) -> None:
        """A file, or the rest of it if the client has its beginning; `cut` files end in the middle once."""
        if name in self.server.wrong:
            content = bytes(len(content))
        start = int((self.headers.get("Range") or "bytes=0-")[len("bytes=") :].partition("-")[0])
        self.server.ranges.append((name, start))
        rest = content[start:]
        headers = {"Content-Length": str(len(rest))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if name in self.server.cut:
            self.server.cut.remove(name)
            rest, self.close_connection = rest[: len(rest) // 2], True
        status = HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK
        if name in self.server.stalled:
            self._answer(status, rest[: len(rest) // 2], headers)
            self.server.stalled[name].wait()
            self.close_connection = True
            return
        self._answer(status, rest, headers)

    def _say(self, status: HTTPStatus, message: str) -> None:
        self._json(status, {"Code": 10010205001, "Message": message, "Success": False})

    def _json(self, status: HTTPStatus, content: Any) -> None:
        self._answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


class ModelScopeServer(ThreadingHTTPServer):
    """Serves folders by "models/ID" or "datasets/ID", all at COMMIT.

    gated: ids that need TOKEN; wrong: names of files that arrive as zeros; cut: names of files whose next answer
    ends in the middle; stalled: names of files that stop in the middle, until the event; said: by path, what the list
    says otherwise. requests, ranges: what was asked.
    """

    daemon_threads = True

    def __init__(self, folders: Mapping[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folders = folders
        self.gated: set[str] = set()
        self.wrong: set[str] = set()
        self.cut: set[str] = set()
        self.stalled: dict[str, threading.Event] = {}
        self.said: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.ranges: list[tuple[str, int]] = []

    @property
    def endpoint(self) -> str:
        """The value for MODELSCOPE_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_port}"

    def files(self) -> set[str]:
        """The files that were asked for."""
        return {request.split()[2] for request in self.requests if request.startswith("repo ")}


@contextmanager
def serve(folders: Mapping[str, Path]) -> Iterator[ModelScopeServer]:
    """A running ModelScope."""
    with running(ModelScopeServer(folders)) as server:
        yield server


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
