"""`diffaug fetch` downloads what the params name, from hubs and sites on this machine."""

import functools
import hashlib
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import modelscope_server
import pytest
import torch
from default_params import raw
from fetching import PHOTOS, UNET, command, content, labelled, named, published
from modelscope_server import COMMIT, ModelScopeServer
from safetensors.torch import save_file
from torchvision.models import ResNet18_Weights

from diffaug.commands.fetch import fetch, in_bytes
from diffaug.hub import modelscope
from diffaug.params import Params, check_params
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError
from diffaug.runtime.work import work_folder
from diffaug.sources.published import SETS
from diffaug.sources.tasks import read_both


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def hub(saved_pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelScopeServer]:
    model = Path(shutil.copytree(saved_pipeline, tmp_path / "served"))
    (model / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    with modelscope_server.serve({"models/own/sd": model, "models/own/vae": model / "vae"}) as server:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", server.endpoint)
        monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("MODELSCOPE_HOME", str(tmp_path / "home"))
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address that serves its files."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def params(**changes: Any) -> Params:
    return check_params(content(**changes), "params.yaml")


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_models_are_listed_then_fetched_then_here(
    hub: ModelScopeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = params(model=named("own/sd"), tiny_vae=named("own/vae"))
    fetch(given, dry=True)
    model, note, vae, total = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"generate\.model: modelscope:own/sd at {COMMIT[:12]}: .* kB; licence: cc-by-nc-4\.0", model)
    assert note.startswith("generate.model: note: modelscope:own/sd at") and "non-commercial use only" in note
    assert re.fullmatch(r"generate\.tiny_vae: modelscope:own/vae at .*: .* kB; licence: not stated", vae)
    assert total.startswith("params.yaml: to fetch: ") and total.endswith(" kB")
    assert hub.files() == {"README.md", "model_index.json"}  # they say what is needed
    fetch(given, dry=False)
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in out[4:6]] == ["1 of 2", "2 of 2"]
    assert out[-1] == "params.yaml: all that it names is on this disk now"
    assert size(modelscope.of(ModelName(**named("own/sd"))).folder) == size(tmp_path / "served")
    asked = list(hub.requests)
    fetch(given, dry=False)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"generate.model: modelscope:own/sd at {COMMIT[:12]}: is here; licence: cc-by-nc-4.0"
    assert out[-1] == "params.yaml: nothing to fetch: all of this is on this disk"
    assert hub.requests == asked


def test_the_size_is_that_of_what_is_absent(hub: ModelScopeServer, capsys: pytest.CaptureFixture[str]) -> None:
    given = params(model=named("own/sd"))
    fetch(given, dry=False)
    unet = modelscope.of(ModelName(**named("own/sd"))).folder / "unet" / UNET
    gone = unet.stat().st_size
    unet.unlink()
    capsys.readouterr()
    fetch(given, dry=True)
    assert capsys.readouterr().out.splitlines()[-1] == f"params.yaml: to fetch: {in_bytes(gone)}"


def test_what_two_parameters_name_is_listed_once(
    hub: ModelScopeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = {
        f"models/own/{name}": Path(shutil.copytree(tmp_path / "served/vae", tmp_path / name)) for name in ("a", "b")
    }
    shutil.copy(tmp_path / "b" / UNET, tmp_path / "b" / UNET.replace(".", ".fp16."))
    hub.folders = both
    checks = {"own/a": named("own/a"), "own/b": named("own/b"), "own/b in fp16": named("own/b", variant="fp16")}
    found = content(tiny_vae=checks["own/a"])
    near = {"min_train": 0.0, "min_heldout": 0.0, "min_generated": 0.0}
    filters = found["filter"]["cls"]
    filters["embedding"] = {"network": {"hub": checks["own/a"]}} | near
    filters["quality"] = {"network": {"hub": checks["own/b"]}, "nearest": 5}
    filters["text"] = {"model": checks["own/b in fp16"], "prompt": "{class}", "min_similarity": 0.0}
    filters["text"]["min_probability"] = 0.0
    fetch(check_params(found, "params.yaml"), dry=True)
    lines = [line.rpartition(": ")[0] for line in capsys.readouterr().out.splitlines()[:-1]]
    at = f"at {COMMIT[:12]}"
    assert [line.partition(" kB")[0].rpartition(": ")[0] for line in lines] == [
        f"generate.tiny_vae: modelscope:own/a {at}",
        f"filter.cls.text.model: modelscope:own/b {at}, variant fp16",
        f"filter.cls.quality.network.hub: modelscope:own/b {at}",
    ]


def test_what_the_params_switch_off_is_not_fetched(hub: ModelScopeServer, capsys: pytest.CaptureFixture[str]) -> None:
    found = content()
    found["train_gen"]["lora"]["model"] = named("own/nowhere")  # method is none
    found["filter"]["det"]["aesthetic"] = {"model": named("own/nowhere"), "head": "none.safetensors", "min": 5.0}
    fetch(check_params(found, "params.yaml"), dry=False)
    assert capsys.readouterr().out == "params.yaml: nothing to fetch: what it names is on this disk\n"
    assert hub.requests == []


def test_the_default_needs_its_images_alone(
    site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = check_params(raw(), "params.yaml")
    row = SETS["fashion_mnist"]
    assert [url.rpartition("/")[2] for url in row.urls][:2] == [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]
    for name in ("a", "b"):
        (site[0] / name).write_bytes(bytes(1_500_000))
    monkeypatch.setitem(SETS, "fashion_mnist", replace(row, urls=[f"{site[1]}/{name}" for name in ("a", "b")]))
    fetch(given, dry=True)
    assert capsys.readouterr().out.splitlines() == [
        "download.cls: fashion_mnist: 3.0 MB; licence: not stated",
        "params.yaml: to fetch: 3.0 MB",
    ]
    monkeypatch.setitem(SETS, "fashion_mnist", replace(row, urls=[f"{site[1]}/nowhere"]))
    fetch(given, dry=True)
    assert capsys.readouterr().out.splitlines()[-1] == "params.yaml: to fetch: 1 whose size is not stated"
    (work_folder("download") / "torchvision/fashion_mnist").mkdir(parents=True)
    fetch(given, dry=True)
    assert capsys.readouterr().out.splitlines()[-1] == "params.yaml: nothing to fetch: all of this is on this disk"


def test_releases_and_weights_of_torchvision(
    site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, address = site
    save_file({"a": torch.zeros(1000)}, folder / "yolo.safetensors")
    torch.save({"fc.weight": torch.zeros(10)}, folder / "resnet.pth")
    sha256 = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    weights = (folder / "resnet.pth").rename(folder / f"resnet18-{sha256['resnet.pth'][:8]}.pth")
    # The address of torchvision's weights is on a site that a test cannot reach.
    monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, "url", f"{address}/{weights.name}")
    found = content(det=PHOTOS)
    found["train_cls"]["weights"] = "DEFAULT"
    found["train_det"]["weights"] = {"url": f"{address}/yolo.safetensors", "sha256": sha256["yolo.safetensors"]}
    given = check_params(found, "params.yaml")
    fetch(given, dry=True)
    release, resnet, total = capsys.readouterr().out.splitlines()
    assert release == f"train_det.weights: {address}/yolo.safetensors: 4.1 kB; licence: not stated"
    assert resnet.startswith(f"train_cls.weights: {address}/{weights.name}: ")
    assert total == f"params.yaml: to fetch: {in_bytes(size(folder))}"
    assert not work_folder("weights").exists() or not list(work_folder("weights").iterdir())
    fetch(given, dry=False)
    capsys.readouterr()
    shutil.rmtree(folder)
    fetch(given, dry=False)
    assert capsys.readouterr().out.splitlines()[-1] == "params.yaml: nothing to fetch: all of this is on this disk"


def test_a_fault_is_one_line(hub: ModelScopeServer) -> None:
    with pytest.raises(UserError, match=r"^params\.yaml: generate\.model: own/none at .* is not on http://") as caught:
        fetch(params(model=named("own/none")), dry=True)
    assert "\n" not in str(caught.value)


def test_sizes_are_as_sites_state_them() -> None:
    sizes = [in_bytes(size) for size in (12, 1500, 2_100_000, 5_500_000_000)]
    assert sizes == ["12 bytes", "1.5 kB", "2.1 MB", "5.5 GB"]


def test_a_data_set_of_modelscope(hub: ModelScopeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.folders = {"datasets/own/set": labelled(tmp_path / "set")}
    given = params(cls=published("modelscope", COMMIT))
    parquet = sum(path.stat().st_size for path in (tmp_path / "set").rglob("*.parquet"))
    fetch(given, dry=True)
    assert capsys.readouterr().out.splitlines() == [
        f"download.cls: modelscope data set own/set at {COMMIT[:12]}: {in_bytes(parquet)}; licence: cc-by-4.0",
        f"params.yaml: to fetch: {in_bytes(parquet)}",
    ]
    fetch(given, dry=False)
    hub.shutdown()
    hub.server_close()
    fetch(given, dry=False)
    assert capsys.readouterr().out.splitlines()[-1] == "params.yaml: nothing to fetch: all of this is on this disk"
    assert len(read_both(given.download, work_folder("download"))[0].splits["train"]) == 6


@pytest.mark.slow
def test_a_killed_fetch_goes_on_where_it_was(hub: ModelScopeServer, tmp_path: Path) -> None:
    hub.stalled[UNET] = threading.Event()
    process = command(tmp_path, content(model=named("own/sd")))
    folder = modelscope.of(ModelName(**named("own/sd"))).folder
    part = folder / "unet" / f"{UNET}.incomplete"
    until = time.monotonic() + 120
    while not (part.exists() and part.stat().st_size) and time.monotonic() < until:
        time.sleep(0.1)
    process.kill()
    process.communicate()
    kept = part.stat().st_size
    finished = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix != ".incomplete"}
    assert kept and finished
    hub.stalled.pop(UNET).set()
    asked = len(hub.requests)
    again = command(tmp_path, content(model=named("own/sd")))
    out, errors = again.communicate()
    assert again.returncode == 0, errors
    assert out.splitlines()[-1] == "params.yaml: all that it names is on this disk now"
    assert (UNET, kept) in hub.ranges
    assert not finished & {request.split()[2] for request in hub.requests[asked:] if request.startswith("repo ")}
