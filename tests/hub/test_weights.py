import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from ultralytics import YOLO

from diffaug.hub.weights import fetch_release, load_matching, refuse_not_finite
from diffaug.runtime.errors import UserError


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder, and the address of the server that serves its files."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_release_of_ultralytics_is_opened_by_its_hash(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    model = YOLO("yolo11n.yaml")
    model.save(str(folder / "yolo11n.pt"))
    own = model.model.state_dict()
    given = fetch_release(f"{address}/yolo11n.pt", sha256(folder / "yolo11n.pt"), "key")
    assert given.keys() == own.keys()
    # It is saved in half precision.
    assert all(torch.allclose(given[key].float(), own[key].half().float()) for key in own)
    digest = sha256(folder / "yolo11n.pt")
    (folder / "yolo11n.pt").unlink()
    assert fetch_release(f"{address}/yolo11n.pt", digest, "key").keys() == own.keys()  # it is downloaded only once


def test_another_hash_is_never_opened(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    (folder / "bad.pt").write_bytes(b"not what it was")
    with pytest.raises(UserError, match=r"key: http.*bad\.pt does not have the sha256 0+; it was removed unopened"):
        fetch_release(f"{address}/bad.pt", "0" * 64, "key")
    assert not [path for path in (tmp_path / ".work").rglob("*") if path.is_file()]


def test_tensors_alone_and_what_is_not_there(served: tuple[Path, str]) -> None:
    folder, address = served
    save_file({"a": torch.arange(3.0)}, folder / "w.safetensors")
    given = fetch_release(f"{address}/w.safetensors", sha256(folder / "w.safetensors"), "key")
    assert given["a"].tolist() == [0, 1, 2]
    with pytest.raises(UserError, match=r"key: .*missing\.pt cannot be downloaded \(HTTP Error 404"):
        fetch_release(f"{address}/missing.pt", "0" * 64, "key")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_weights_that_are_no_numbers_are_refused(dtype: torch.dtype) -> None:
    fine = {
        "a": torch.ones(3, 2, dtype=dtype),
        "none": torch.zeros(0),
        "ids": torch.arange(3),
        "yes": torch.ones(1) > 0,
    }
    refuse_not_finite(fine, "file")
    for number in (float("nan"), float("inf"), -float("inf")):
        if dtype is torch.float8_e4m3fn and number == number:
            continue  # this type has no infinity
        broken = torch.ones(3, 2)
        broken[1, 1] = number
        with pytest.raises(UserError, match=r"^file: b has weights that are not finite numbers; take other weights$"):
            refuse_not_finite(fine | {"b": broken.to(dtype)}, "file")


def test_initial_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    given = {"weight": torch.full((2, 2), float("nan"))}
    with pytest.raises(UserError, match=r"^params\.yaml: key: some: weight has weights that are not finite numbers"):
        load_matching(model, given, "some", "key")


def test_weights_that_no_file_filled_are_refused() -> None:
    with pytest.raises(UserError, match=r"^file: a has no weights in the files; take other weights$"):
        refuse_not_finite({"a": torch.empty(0, device="meta")}, "file")
