"""A hub on this machine: the endpoints that huggingface_hub uses, over real HTTP, from folders on the disk."""

import hashlib
import json
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from serving import running

COMMIT = "c0ffee" * 6 + "beef"


class _Refusal(Exception):
    def __init__(self, status: HTTPStatus, code: str) -> None:
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    server: "HubServer"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.requests.append(f"{self.command} {path}")
        if any(name in path for name in self.server.broken):
            self.close_connection = True
            return
        try:
            headers, body = self._answer(path)
            status = HTTPStatus.OK
            start = int(self.headers.get("Range", "bytes=0-")[len("bytes=") :].partition("-")[0])
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                body, status = body[start:], HTTPStatus.PARTIAL_CONTENT
            if self.command == "GET":
                self.server.ranges.append((path, start))
        except _Refusal as refusal:
            headers, body, status = {"X-Error-Code": refusal.code}, b"{}", refusal.status
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        stalled = next((event for name, event in self.server.stalled.items() if path.endswith(name)), None)
        if self.command != "HEAD":
            self.wfile.write(body if stalled is None else body[: len(body) // 2])
        if self.command == "GET" and stalled is not None:
            stalled.wait()
            self.close_connection = True

    do_HEAD = do_POST = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the test's output clean."""

    def _answer(self, path: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of an address: api/models/ID[/revision/R], api/models/ID/tree/R or ID/resolve/R/FILE; of a
        data set, api/datasets/ID and datasets/ID."""
        kind = "datasets/" if path.startswith(("api/datasets/", "datasets/")) else ""
        parts = path.removeprefix("api/models/").removeprefix("api/").removeprefix(kind).split("/")
        name, action, revision, file = kind + "/".join(parts[:2]), parts[2:3], parts[3:4], "/".join(parts[4:])
        if name in self.server.gated and action == ["resolve"]:
            raise _Refusal(HTTPStatus.FORBIDDEN, "GatedRepo")
        if name not in self.server.models:
            raise _Refusal(HTTPStatus.NOT_FOUND, "RepoNotFound")
        if revision not in ([], [COMMIT]):
            raise _Refusal(HTTPStatus.NOT_FOUND, "RevisionNotFound")
        folder = self.server.models[name]
        if action == ["resolve"]:
            return self._file(folder / file)
        places = {place.relative_to(folder).as_posix(): place for place in sorted(folder.rglob("*"))}
        files = {name: place for name, place in places.items() if place.is_file()}
        if action == ["tree"]:
            content: Any = [_entry(name, place) for name, place in places.items() if name.startswith(file)]
            if not content:
                raise _Refusal(HTTPStatus.NOT_FOUND, "EntryNotFound")
        elif action == ["paths-info"]:
            content = [_entry(name, files[name]) for name in self._asked() if name in files]
        else:
            content = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
        return {"Content-Type": "application/json"}, json.dumps(content).encode()

    def _asked(self) -> list[str]:
        """The paths of files in the body of the request."""
        return parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["paths"]

    def _file(self, place: Path) -> tuple[dict[str, str], bytes]:
        if not place.is_file():
            raise _Refusal(HTTPStatus.NOT_FOUND, "EntryNotFound")
        return {"ETag": f'"{_etag(place)}"', "X-Repo-Commit": COMMIT}, place.read_bytes()


class HubServer(ThreadingHTTPServer):
    """Serves folders by their hub ids (data sets as datasets/ID), all at COMMIT; `requests` lists all requests, as
    "METHOD path", `ranges` the paths with the first byte that was asked for. stalled: names of files that stop in the
    middle, until the event."""

    daemon_threads = True

    def __init__(self, models: Mapping[str, Path], gated: Collection[str], broken: Collection[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models, self.gated, self.broken = models, gated, broken
        self.requests: list[str] = []
        self.ranges: list[tuple[str, int]] = []
        self.stalled: dict[str, threading.Event] = {}

    @property
    def endpoint(self) -> str:
        """The value for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serve(models: Mapping[str, Path], gated: Collection[str] = (), broken: Collection[str] = ()) -> Iterator[HubServer]:
    """A running hub. gated: ids whose files are refused, as on the hub before a licence is accepted; broken: ids at
    which the connection breaks."""
    with running(HubServer(models, gated, broken)) as server:
        yield server


def _entry(name: str, place: Path) -> dict[str, Any]:
    if place.is_dir():
        return {"type": "directory", "path": name, "oid": "0" * 40}
    return {"type": "file", "path": name, "size": place.stat().st_size, "oid": _etag(place)}


def _etag(place: Path) -> str:
    """As on the hub: SHA-256 of large files."""
    if place.suffix in (".safetensors", ".parquet"):
        return hashlib.sha256(place.read_bytes()).hexdigest()
    return hashlib.sha1(place.read_bytes(), usedforsecurity=False).hexdigest()
