from pathlib import Path

import pytest
from pydantic import ValidationError

from diffaug.params.base import ModelName

COMMIT = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"


@pytest.mark.parametrize("name", ["owner/model", "stable-diffusion-v1-5/stable-diffusion-v1-5", "a.b/c_d-1.0"])
def test_owner_and_model_are_a_hub_id(name: str) -> None:
    model = ModelName(name=name, revision=COMMIT, variant="fp16")
    assert (model.on_hub, model.is_file) == (True, False)


@pytest.mark.parametrize(
    ("name", "is_file"),
    [
        ("models/generator", False),
        ("./owner/model", False),
        ("../model", False),
        ("~/models/sd15", False),
        ("/data/sd15", False),
        ("/data/sd15.safetensors", True),
        ("owner/model.safetensors", True),
        ("sd15.safetensors", True),
        ("./sd15.ckpt", True),
    ],
)
def test_local_paths(name: str, is_file: bool) -> None:
    model = ModelName(name=name)
    assert (model.on_hub, model.is_file) == (False, is_file)
    with pytest.raises(
        ValidationError, match=f"'{name}' is a local path, which cannot have a revision; remove the revision"
    ):
        ModelName(name=name, revision=COMMIT)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (r"C:\models\sd15", "C:/models/sd15"),
        ("D:/x", "D:/x"),
        (r".\models\sd15", "./models/sd15"),
        (r"\\server\share\sd15.safetensors", "//server/share/sd15.safetensors"),
        (r"models\generator", "models/generator"),
    ],
)
def test_paths_of_windows_are_no_hub_ids(written: str, name: str) -> None:
    model = ModelName(name=written)
    assert (model.name, model.on_hub) == (name, False)


def test_a_path_that_double_quotes_have_changed_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"in double quotes .* mean these; write / in place of"):
        ModelName(name="C:/models\new")


def test_a_folder_that_is_taken_for_a_name_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrained/clothes").mkdir(parents=True)
    with pytest.raises(ValidationError, match=r"there is a folder of this name; write './pretrained/clothes'"):
        ModelName(name="pretrained/clothes")


@pytest.mark.parametrize(
    "name", ["", "model", "a/b/c", "models/generator/unet", "owner/", "owner/a model", "https://x/y"]
)
def test_what_is_neither_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=r"is neither a hub id \(owner/model\), nor models/generator, nor a path"):
        ModelName(name=name, revision=COMMIT)


@pytest.mark.parametrize(
    ("revision", "branch"),
    [(None, "HEAD"), ("main", "main"), ("fp16", "fp16"), (COMMIT[:12], COMMIT[:12]), (COMMIT.upper(), COMMIT.upper())],
)
def test_a_hub_id_without_its_commit_is_refused_with_the_command_that_prints_it(
    revision: str | None, branch: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        ModelName(name="owner/model", revision=revision)
    message = str(caught.value)
    assert f"revision of owner/model is {revision!r}, but must be a commit of 40 hexadecimal digits" in message
    assert f"`git ls-remote https://huggingface.co/owner/model {branch}` prints the commit" in message


@pytest.mark.parametrize("extra", [{"branch": "main"}, {"allow_pickle": "yes"}, {"variant": 16}])
def test_an_unknown_key_or_a_wrong_type_is_refused(extra: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(extra))):
        ModelName.model_validate({"name": "./a", **extra})


def test_another_hub_is_named() -> None:
    model = ModelName.model_validate({"hub": "modelscope", "name": "owner/model", "revision": COMMIT})
    assert (model.on_hub, model.label) == (True, "modelscope:owner/model")
    assert ModelName(name="owner/model", revision=COMMIT).label == "owner/model"
    with pytest.raises(
        ValidationError, match=r"git ls-remote https://modelscope\.cn/models/owner/model\.git v1` prints"
    ):
        ModelName(hub="modelscope", name="owner/model", revision="v1")
    with pytest.raises(ValidationError, match=r"'\./model' is a local path, which cannot have a hub; remove the hub"):
        ModelName(hub="modelscope", name="./model")
    with pytest.raises(ValidationError, match=r"hub\n.*'huggingface' or 'modelscope'"):
        ModelName.model_validate({"hub": "modelscop", "name": "owner/model", "revision": COMMIT})


def test_the_hub_of_a_single_file_is_that_of_its_config() -> None:
    model = ModelName(hub="modelscope", name="./sd15.safetensors", config=f"owner/model@{COMMIT}")
    assert (model.on_hub, model.label) == (False, "./sd15.safetensors")
