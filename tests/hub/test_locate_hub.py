import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hub_server import COMMIT, serve
from safetensors.torch import load_file, save_file

from diffaug.hub.locate import locate_network, locate_pipeline
from diffaug.params.base import ModelName

pytestmark = pytest.mark.slow

# huggingface_hub reads the hub's address at import, so every request needs its own process.
CLIENT = """
import json, sys
from diffaug.hub.locate import locate_network, locate_pipeline
from diffaug.runtime.errors import UserError
from diffaug.params.base import ModelName
for request in json.loads(sys.argv[1]):
    locate = locate_network if request["name"].endswith("network") else locate_pipeline
    try:
        located = locate(ModelName(**request), "generate.model")
        print(json.dumps({"path": str(located.path), "sha256": located.sha256, "licence": located.licence}))
    except UserError as error:
        print(json.dumps(str(error)))
"""
WHOLE = ["own/whole", "own/network"]
DAMAGED = {"own/no-unet": "unet/diffusion_pytorch_model.safetensors", "own/no-tokenizer": "tokenizer/tokenizer.json"}
REFUSED = ["own/pickled", "own/gated", "own/broken", "own/nowhere"]


def look(home: Path, endpoint: str, requests: list[dict[str, Any]], **environment: str) -> dict[str, Any]:
    """The result of locating each model: its path, hash and licence, or the text of its UserError."""
    kept = {key: value for key, value in os.environ.items() if not key.lower().startswith("hf_")}
    clean = {"HF_HOME": str(home), "HF_ENDPOINT": endpoint, "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    process = subprocess.run(
        [sys.executable, "-c", CLIENT, json.dumps([{"revision": COMMIT} | request for request in requests])],
        env=kept | clean | environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    return {"-".join(str(part) for part in request.values()): answer for request, answer in zip(requests, answers)}


def of(names: list[str]) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


@pytest.fixture(scope="module")
def model(saved_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model like those on hubs: also with half-precision and pickled weights, and files that are not read."""
    folder = Path(shutil.copytree(saved_pipeline, tmp_path_factory.mktemp("served") / "whole"))
    (folder / "README.md").write_text("---\nlicense: creativeml-openrail-m\n---\n")
    (folder / "unet/diffusion_pytorch_model.safetensors.index.fp16.json").write_text('{"weight_map": {}}')
    (folder / "text_encoder/generation_config.json").write_text("{}")
    for weights in list(folder.rglob("*.safetensors")):
        save_file(
            {key: value.half() for key, value in load_file(weights).items()}, weights.with_suffix(".fp16.safetensors")
        )
        weights.with_suffix(".bin").write_bytes(b"a pickle")
    return folder


@pytest.fixture(scope="module")
def hub(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of requests to a hub; afterwards `home` has the downloaded files, without the files of DAMAGED."""
    home = tmp_path_factory.mktemp("home")
    pickled = Path(shutil.copytree(model, model.with_name("pickled"), ignore=shutil.ignore_patterns("*.safetensors")))
    models = {"own/whole": model, "own/network": model / "vae", "own/pickled": pickled, "own/gated": model}
    with serve(models | dict.fromkeys(DAMAGED, model), gated=["own/gated"], broken=["own/broken"]) as server:
        requests = [*of([*WHOLE, *DAMAGED, *REFUSED]), {"name": "own/whole", "variant": "fp16"}]
        requests += [{"name": "own/whole", "variant": "bf16"}, {"name": "own/whole", "revision": "0" * 40}]
        answers = look(home, server.endpoint, requests)
        asked = list(server.requests)
    for name, file in DAMAGED.items():
        (Path(answers[name]["path"]) / file).unlink()
    return {"home": home, "endpoint": server.endpoint, "answers": answers, "asked": asked}


def test_a_downloaded_pipeline_is_what_the_hub_has(hub: dict[str, Any], model: Path) -> None:
    for variant, key in ((None, "own/whole"), ("fp16", "own/whole-fp16")):
        here = locate_pipeline(ModelName(name=str(model), variant=variant), "generate.model")
        found = hub["answers"][key]
        assert (found["sha256"], found["licence"]) == (here.sha256, "creativeml-openrail-m")
        assert Path(found["path"]).is_relative_to(hub["home"])
    assert not [request for request in hub["asked"] if request.endswith(".bin")]


def test_a_downloaded_network_is_what_the_hub_has(hub: dict[str, Any], model: Path) -> None:
    here = locate_network(ModelName(name=str(model / "vae")), "generate.tiny_vae")
    assert hub["answers"]["own/network"]["sha256"] == here.sha256


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own/pickled", ["`safetensors` weights", "take a .safetensors release of own/pickled", "allow_pickle: true"]),
        ("own/whole-bf16", ["variant=bf16"]),
        ("own/gated", ["403", f"`hf download own/gated --revision {COMMIT}`"]),
        ("own/broken", ["disconnected", "absent: all files", f"`hf download own/broken --revision {COMMIT}`"]),
        ("own/nowhere", ["404", "absent: all files", f"`hf download own/nowhere --revision {COMMIT}`"]),
        (f"own/whole-{'0' * 40}", ["404", f"`hf download own/whole --revision {'0' * 40}`"]),
    ],
)
def test_what_the_hub_does_not_give_is_one_line(hub: dict[str, Any], name: str, words: list[str]) -> None:
    message = hub["answers"][name]
    assert message.startswith("params.yaml: generate.model: own/") and "\n" not in message
    assert [word for word in words if word not in message] == []
    assert len(message) < 900


@pytest.mark.parametrize("how", ["offline", "unreachable"])
def test_without_the_hub_only_what_is_whole_opens(hub: dict[str, Any], how: str) -> None:
    environment = {"HF_HUB_OFFLINE": "1"} if how == "offline" else {}  # the server is stopped in both cases
    names = [*WHOLE, *DAMAGED, "own/nowhere"]
    answers = look(hub["home"], hub["endpoint"], of(names), **environment)
    assert {name: answers[name] for name in WHOLE} == {name: hub["answers"][name] for name in WHOLE}
    absent = {"own/no-unet": "unet/*.safetensors", "own/no-tokenizer": "tokenizer/tokenizer.json"}
    for name, file in {**absent, "own/nowhere": "all files"}.items():
        assert answers[name].startswith(
            f"params.yaml: generate.model: {name} at {COMMIT} is not complete on this machine"
        )
        assert f"absent: {file}; `hf download {name} --revision {COMMIT}` fetches it" in answers[name]
        assert "\n" not in answers[name]
