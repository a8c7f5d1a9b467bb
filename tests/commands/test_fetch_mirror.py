"""`diffaug fetch` from a mirror of Hugging Face on this machine, killed, gone on with, and carried elsewhere."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import hub_server
import pytest
import torch
from fetching import UNET, command, content, labelled, named, published
from safetensors.torch import save_file

from diffaug.commands.fetch import in_bytes


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.slow
def test_a_model_and_a_data_set_of_a_mirror_of_hugging_face(saved_pipeline: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(saved_pipeline, tmp_path / "served"))
    (model / "README.md").write_text("---\nlicense: mit\n---\n")
    shutil.copy(model / "unet" / UNET, model / "one-file.safetensors")
    images = labelled(tmp_path / "set")
    at = hub_server.COMMIT
    found = content(cls=published(None, at), model=named("own/sd", None, revision=at))
    home = str(tmp_path / "home")
    with hub_server.serve({"own/sd": model, "datasets/own/set": images}) as server:

        def out(*options: str, **more: str) -> list[str]:
            process = command(tmp_path, found, *options, HF_ENDPOINT=server.endpoint, HF_HOME=home, **more)
            printed, errors = process.communicate()
            assert process.returncode == 0, errors
            return printed.splitlines()

        parquet = in_bytes(sum(path.stat().st_size for path in images.rglob("*.parquet")))
        listed = out("--dry")
        assert listed[0] == f"download.cls: data set own/set at {at[:12]}: {parquet}; licence: cc-by-4.0"
        assert re.fullmatch(rf"generate\.model: own/sd at {at[:12]}: .* kB; licence: mit", listed[1])
        assert not [request for request in server.requests if request.endswith((".parquet", ".safetensors"))]
        assert out()[-1] == "params.yaml: all that it names is on this disk now"
        assert not [request for request in server.requests if "one-file" in request]
        here = [
            f"download.cls: data set own/set at {at[:12]}: is here; licence: cc-by-4.0",
            f"generate.model: own/sd at {at[:12]}: is here; licence: mit",
            "params.yaml: nothing to fetch: all of this is on this disk",
        ]
        assert out() == here
    # On another machine, without a network:
    home = str(shutil.move(home, tmp_path / "carried-home"))
    work = str(shutil.move(tmp_path / "work", tmp_path / "carried-work"))
    assert out(HF_HUB_OFFLINE="1", DIFFAUG_WORK=work) == here
    reads = (
        "import pathlib, sys; from diffaug.params import load_params; from diffaug.sources.tasks import read_both; "
        "print(len(read_both(load_params().download, pathlib.Path(sys.argv[1]))[0].splits['test']))"
    )
    offline = os.environ | {"HF_ENDPOINT": server.endpoint, "HF_HOME": home, "HF_HUB_OFFLINE": "1"}
    read = subprocess.run(
        [sys.executable, "-c", reads, f"{work}/download"], env=offline, capture_output=True, text=True, cwd=tmp_path
    )
    assert read.stdout.splitlines()[-1:] == ["6"], read.stderr


@pytest.mark.slow
def test_a_killed_fetch_from_a_mirror_of_hugging_face_goes_on(tmp_path: Path) -> None:
    """The file has 32 MB: huggingface_hub writes 10 MB at once."""
    at, home, served = hub_server.COMMIT, tmp_path / "home", tmp_path / "served"
    served.mkdir()
    (served / "config.json").write_text("{}")
    save_file({"a": torch.rand(8_000_000)}, served / UNET)
    found = content(tiny_vae=named("own/large", None, revision=at))
    with hub_server.serve({"own/large": served}) as server:
        environment = {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(home)}
        server.stalled[UNET] = threading.Event()
        process = command(tmp_path, found, **environment)
        kept, until = 0, time.monotonic() + 120
        while not kept and time.monotonic() < until:
            kept = max((part.stat().st_size for part in home.rglob("*.diffaug.incomplete")), default=0)
            time.sleep(0.1)
        process.kill()
        process.communicate()
        server.stalled.pop(UNET).set()
        again = command(tmp_path, found, **environment)
        out, errors = again.communicate()
        assert again.returncode == 0, errors
    assert out.splitlines()[-1] == "params.yaml: all that it names is on this disk now"
    assert kept and [start for path, start in server.ranges if path.endswith(UNET)] == [0, kept]
    assert not list(home.rglob("*.incomplete"))
    assert next(home.rglob(f"snapshots/{at}/{UNET}")).read_bytes() == (served / UNET).read_bytes()
