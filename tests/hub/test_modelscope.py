"""Models of ModelScope, from a server on this machine that speaks its API."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline
from modelscope_server import COMMIT, TOKEN, ModelScopeServer, serve
from safetensors.torch import load_file, save_file

from diffaug.hub import modelscope
from diffaug.hub.locate import config_folder, locate_network, locate_pipeline
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError

UNET = "unet/diffusion_pytorch_model"
READ = {
    *("README.md", "model_index.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json"),
    *("tokenizer/tokenizer_config.json", "text_encoder/config.json", "unet/config.json", "vae/config.json"),
}


@pytest.fixture(scope="module")
def model(saved_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model like those on hubs: also in half precision, pickled, as one file, and with examples."""
    folder = Path(shutil.copytree(saved_pipeline, tmp_path_factory.mktemp("served") / "whole"))
    (folder / "README.md").write_text("---\nlicense: creativeml-openrail-m\n---\n")
    (folder / f"{UNET}.safetensors.index.fp16.json").write_text('{"weight_map": {}}')
    for weights in list(folder.rglob("*.safetensors")):
        half = {key: value.half() for key, value in load_file(weights).items()}
        save_file(half, weights.with_suffix(".fp16.safetensors"))
        weights.with_suffix(".bin").write_bytes(b"a pickle")
    shutil.copy(folder / f"{UNET}.safetensors", folder / "v1-5-pruned.safetensors")
    (folder / "v1-5-pruned.ckpt").write_bytes(b"a pickle")
    (folder / "examples").mkdir()
    (folder / "examples/config.json").write_text("{}")
    return folder


@pytest.fixture
def hub(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelScopeServer]:
    folders = {"models/own/whole": model, "models/own/vae": model / "vae", "models/own/gated": model}
    with serve(folders) as server:
        server.gated.add("own/gated")
        for name, value in {
            "ENDPOINT": server.endpoint,
            "CACHE": tmp_path / "cache",
            "HOME": tmp_path / "home",
        }.items():
            monkeypatch.setenv(f"MODELSCOPE_{name}", str(value))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


def named(name: str = "own/whole", **more: Any) -> ModelName:
    return ModelName.model_validate({"hub": "modelscope", "name": name, "revision": COMMIT} | more)


def here(model: Path, **more: Any) -> str:
    return locate_pipeline(ModelName(name=str(model), **more), "generate.model").sha256


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_a_pipeline_is_fetched_without_what_is_not_read(
    variant: str | None, hub: ModelScopeServer, model: Path
) -> None:
    located = locate_pipeline(named(variant=variant), "generate.model")
    assert (located.name, located.revision) == ("modelscope:own/whole", COMMIT)
    assert (located.sha256, located.licence) == (here(model, variant=variant), "creativeml-openrail-m")
    end = f".{variant}.safetensors" if variant else ".safetensors"
    weights = {f"{UNET}{end}", f"vae/diffusion_pytorch_model{end}", f"text_encoder/model{end}"}
    lists = {f"{UNET}.safetensors.index.fp16.json"} if variant else set()
    assert hub.files() == READ | weights | lists


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_what_is_fetched_is_enough_to_open(
    variant: str | None, hub: ModelScopeServer, model: Path, tmp_path: Path
) -> None:
    whole = shutil.copytree(model, tmp_path / "whole", ignore=shutil.ignore_patterns("*.index.*"))
    hub.folders = {"models/own/whole": Path(whole)}
    path = locate_pipeline(named(variant=variant), "generate.model").path
    assert (path / f"{UNET}.safetensors").exists() is (variant is None)
    pipeline = DiffusionPipeline.from_pretrained(path, variant=variant, use_safetensors=True, local_files_only=True)
    kept = load_file(model / f"{UNET}{f'.{variant}' if variant else ''}.safetensors")
    name, weight = next(iter(kept.items()))
    assert torch.equal(pipeline.unet.state_dict()[name], weight.float())


def test_what_was_fetched_needs_no_hub(hub: ModelScopeServer) -> None:
    first = locate_pipeline(named(), "generate.model")
    asked = list(hub.requests)
    assert locate_pipeline(named(), "generate.model") == first
    assert hub.requests == asked
    hub.shutdown()
    hub.server_close()
    assert locate_pipeline(named(), "generate.model") == first


def test_a_network_and_a_configuration(hub: ModelScopeServer, model: Path) -> None:
    vae = locate_network(named("own/vae"), "generate.tiny_vae")
    assert vae.sha256 == locate_network(ModelName(name=str(model / "vae")), "generate.tiny_vae").sha256
    assert hub.files() == {"config.json", "diffusion_pytorch_model.safetensors"}
    single = ModelName(name="./sd15.safetensors", hub="modelscope", config=f"own/whole@{COMMIT}")
    folder = config_folder(single, "generate.model")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == READ | {f"{UNET}.safetensors.index.fp16.json"}  # a small file like others, without weights


def test_another_content_than_the_list_states_is_never_kept(hub: ModelScopeServer) -> None:
    hub.wrong.add("diffusion_pytorch_model.safetensors")
    with pytest.raises(UserError) as caught:
        locate_pipeline(named(), "generate.model")
    message = str(caught.value)
    assert message.startswith(f"params.yaml: generate.model: own/whole at {COMMIT}: ") and "\n" not in message
    assert "diffusion_pytorch_model.safetensors is not the file of which ModelScope states the SHA-256" in message
    assert not list(modelscope.of(named()).folder.rglob("diffusion_pytorch_model*safetensors*"))
    hub.wrong.clear()
    assert locate_pipeline(named(), "generate.model").path == modelscope.of(named()).folder


def test_a_file_without_a_stated_hash_is_refused(hub: ModelScopeServer) -> None:
    hub.said["vae/config.json"] = {"Sha256": None}
    with pytest.raises(UserError, match=r"ModelScope states no SHA-256 of vae/config\.json of own/whole, so it cannot"):
        locate_pipeline(named(), "generate.model")


def test_a_file_outside_its_folder_is_refused(hub: ModelScopeServer, tmp_path: Path) -> None:
    hub.said["config.json"] = {"Path": "../../config.json"}
    repository = modelscope.of(named("own/vae"))
    with pytest.raises(UserError, match=r"has a file '\.\./\.\./config\.json', which is outside its folder"):
        repository.fetch(["../../config.json"], "here")


def test_a_cut_connection_is_taken_up_where_it_broke(hub: ModelScopeServer, model: Path) -> None:
    name = "diffusion_pytorch_model.safetensors"
    hub.cut.add(name)
    assert locate_network(named("own/vae"), "generate.tiny_vae").path.name == COMMIT
    middle = (model / "vae" / name).stat().st_size // 2
    assert [start for file, start in hub.ranges if file == name] == [0, middle]


def test_what_a_killed_download_left_is_used(hub: ModelScopeServer, model: Path) -> None:
    name = "diffusion_pytorch_model.safetensors"
    repository = modelscope.of(named("own/vae"))
    repository.folder.mkdir(parents=True)
    (repository.folder / f"{name}.incomplete").write_bytes((model / "vae" / name).read_bytes()[:1000])
    locate_network(named("own/vae"), "generate.tiny_vae")
    assert (name, 1000) in hub.ranges and (name, 0) not in hub.ranges


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        (
            "own/nowhere",
            {},
            ["is not on http://127.0.0.1:", "git ls-remote http://127.0.0.1:", "own/nowhere.git` prints"],
        ),
        ("own/whole", {"revision": "0" * 40}, [f"own/whole at {'0' * 40} is not on ", "own/whole.git` prints"]),
        ("own/gated", {}, ["access denied", "/models/own/gated", "MODELSCOPE_API_TOKEN"]),
        ("own/whole", {"variant": "bf16"}, ["own/whole has no weights of variant=bf16; check the variant"]),
        ("own/vae", {}, ["has no model_index.json; it is not in the hub's pipeline layout"]),
    ],
)
def test_what_the_hub_does_not_give_is_one_line(
    name: str, more: dict[str, Any], words: list[str], hub: ModelScopeServer
) -> None:
    with pytest.raises(UserError) as caught:
        locate_pipeline(named(name, **more), "generate.model")
    message = str(caught.value)
    assert message.startswith("params.yaml: generate.model: ") and "\n" not in message and len(message) < 600
    assert [word for word in words if word not in message] == []


def test_a_token_opens_what_needs_one(hub: ModelScopeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", TOKEN)
    assert locate_pipeline(named("own/gated"), "generate.model").name == "modelscope:own/gated"


def test_pickles_are_fetched_only_if_allowed(hub: ModelScopeServer, model: Path, tmp_path: Path) -> None:
    pickled = Path(shutil.copytree(model, tmp_path / "pickled", ignore=shutil.ignore_patterns("*.safetensors")))
    hub.folders = {"models/own/pickled": pickled}
    with pytest.raises(UserError, match=r"own/pickled has no `safetensors` weights here; take a \.safetensors release"):
        locate_pipeline(named("own/pickled"), "generate.model")
    assert not [name for name in hub.files() if name.endswith((".bin", ".ckpt"))]
    located = locate_pipeline(named("own/pickled", allow_pickle=True), "generate.model")
    assert located.sha256 == here(pickled, allow_pickle=True)
    assert {name for name in hub.files() if name.endswith((".bin", ".ckpt"))} == {
        *(f"{UNET}.bin", "vae/diffusion_pytorch_model.bin", "text_encoder/model.bin")
    }


@pytest.mark.slow
def test_without_the_hub_what_is_absent_is_named(hub: ModelScopeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelscope_hub._download.DOWNLOAD_RETRY_TIMES", 1)  # it waits half a minute otherwise
    folder = locate_pipeline(named(), "generate.model").path
    (folder / f"{UNET}.safetensors").unlink()
    hub.shutdown()
    hub.server_close()
    with pytest.raises(UserError) as caught:
        locate_pipeline(named(), "generate.model")
    message = str(caught.value)
    assert message.startswith(f"params.yaml: generate.model: own/whole at {COMMIT} is not complete on this machine")
    assert f"absent: {UNET}.safetensors; `diffaug fetch` fetches it with a network" in message
    with pytest.raises(UserError, match="absent: all files; `diffaug fetch` fetches it with a network"):
        locate_network(named("own/vae"), "generate.tiny_vae")
