"""Models as a bad disk or a bad person leaves them: each opens, or is refused in one line that names the file."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_models
import torch
from damage import damaged, refused, with_an_odd_value
from safetensors.torch import load, save_file
from settings import params

from diffaug.diffusion.networks import open_network
from diffaug.diffusion.opening import open_model
from diffaug.hub.learned import Learned
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import seal

CPU = torch.device("cpu")
FLOAT = torch.float32
UNET = "unet/diffusion_pytorch_model.safetensors"


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def opened(model: Path | str, **changes: Any) -> Any:
    if model == Path("models/generator"):
        seal(model)  # as by someone who means harm
    return open_model(params(model={"name": str(model)}, **changes), CPU)


def break_one(file: Path, number: float) -> str:
    """Put the number into the last tensor of floats of a file; returns the tensor's name."""
    weights = load(file.read_bytes())
    name = [name for name, value in weights.items() if value.is_floating_point()][-1]
    weights[name].view(-1)[-1] = number
    save_file(weights, file, metadata={"format": "pt"})
    return name


@pytest.fixture
def generator(pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pipeline as the output of train_gen."""
    monkeypatch.chdir(tmp_path)
    shutil.move(pipeline, "models/generator")
    return Path("models/generator")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("file", [UNET, "vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"])
def test_a_pipeline_with_weights_that_are_not_finite_is_refused(pipeline: Path, file: str, number: float) -> None:
    broken = break_one(pipeline / file, number)
    message = refused(lambda: opened(pipeline))
    start = f"params.yaml: generate.model: {pipeline}: {file.partition('/')[0]}: "
    assert message.startswith(start) and message.endswith(
        " has weights that are not finite numbers; take other weights"
    )
    assert broken.rpartition("text_model.")[2] in message


def test_a_controlnet_and_a_tiny_vae_are_checked_alike(pipeline: Path, tmp_path: Path) -> None:
    for name, kind in (
        ("tiny", small_models.tiny_vae),
        ("control", lambda place: small_models.controlnet(place, pipeline)),
    ):
        folder = kind(tmp_path / name)
        file = folder / "diffusion_pytorch_model.safetensors"
        whole = file.read_bytes()
        model = ModelName(name=str(folder))
        open_network(model, "key", FLOAT)
        broken = break_one(file, float("nan"))
        message = refused(lambda model=model: open_network(model, "key", FLOAT))
        assert (
            message
            == f"params.yaml: key: {folder}: {broken} has weights that are not finite numbers; take other weights"
        )
        file.write_bytes(whole[:-40])
        message = refused(lambda model=model: open_network(model, "key", FLOAT))
        assert re.match(rf"params\.yaml: key: {folder} does not fit \w+, or is damaged \(", message)
        file.write_bytes(whole)
        weights = load(whole)
        lost = sorted(weights)[0]
        save_file({key: value for key, value in weights.items() if key != lost}, file, metadata={"format": "pt"})
        assert f"or is damaged (it has no weights for {lost})" in refused(
            lambda model=model: open_network(model, "k", FLOAT)
        )
        file.write_bytes(whole)
        edit(folder / "config.json", _class_name="os")
        assert "_class_name 'os' is not a network of diffusers" in refused(
            lambda model=model: open_network(model, "k", FLOAT)
        )


def test_additions_with_weights_that_are_not_finite_are_refused(pipeline: Path, tmp_path: Path) -> None:
    nan = torch.full((4, 16), float("nan"))
    name = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    lora = {f"{name}.lora_A.weight": torch.ones(4, 8), f"{name}.lora_B.weight": torch.ones(8, 4)}
    save_file(lora | {f"{name}.lora_B.weight": nan[:, :8].T.contiguous()}, tmp_path / "lora.safetensors")
    message = refused(lambda: opened(pipeline, loras=[{"path": str(tmp_path / "lora.safetensors"), "scale": 1.0}]))
    start = (
        f"params.yaml: generate.loras: {tmp_path / 'lora.safetensors'}: {name}.lora_B.weight has weights that are not"
    )
    assert message.startswith(start)
    save_file({"<x>": nan[0].contiguous()}, tmp_path / "word.safetensors")
    message = refused(
        lambda: opened(pipeline, embeddings=[{"path": str(tmp_path / "word.safetensors"), "token": "<x>"}])
    )
    start = f"params.yaml: generate.embeddings: {tmp_path / 'word.safetensors'}: <x> has weights that are not finite"
    assert message.startswith(start)


def test_layers_whose_product_is_endless_are_stopped(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffaug.hub.opening.MAX_MODULES", 3000)
    opened(pipeline)
    edit(pipeline / "unet/config.json", layers_per_block=100, transformer_layers_per_block=100)
    assert refused(lambda: opened(pipeline)).endswith("(its configuration states more than 3000 layers)")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not readable"),
        ("[]", "found a list; allowed is a mapping"),
        ('{"classes": ["cat"]}', "context: Field required"),
        ('{"classes": [1], "context": 1.0}', r"classes\.0: Input should be a valid string, found 1"),
        ('{"classes": ["cat"], "context": NaN}', "context: Input should be "),
        ('{"classes": ["cat"], "context": 1.0, "pixels": [28]}', "pixels: List should have at least 2 items"),
        ('{"classes": ["cat"], "context": 0.5}', "context: Input should be greater than or equal to 1, found 0.5"),
    ],
)
def test_a_damaged_learned_json_is_one_line(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "learned.json").write_text(content)
    assert re.match(rf"{tmp_path}/learned\.json: {words}", refused(lambda: Learned.read(tmp_path)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not readable"),
        ('["./sd"]', "found a list; allowed is a mapping"),
        ("{}", "name: Field required"),
        ('{"name": 5}', "name: Input should be a valid string, found 5"),
        ('{"name": "./sd", "code": "x"}', "code: Extra inputs are not permitted, found 'x'"),
        ('{"name": "owner/model"}', "revision of owner/model is None, but must be a commit.*, found a mapping of 1"),
    ],
)
def test_a_damaged_base_json_is_one_line(generator: Path, content: str, words: str) -> None:
    (generator / "base.json").write_text(content)
    assert re.match(rf"models/generator/base\.json: {words}", refused(lambda: opened(generator)))


def test_a_base_json_cannot_allow_pickles(generator: Path, random_pipeline: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(random_pipeline, tmp_path / "base"))
    torch.save(load((base / UNET).read_bytes()), (base / UNET).with_suffix(".bin"))
    (base / UNET).unlink()
    (generator / "base.json").write_text(json.dumps({"name": str(base), "allow_pickle": True}))
    assert "unet of" in (message := refused(lambda: opened(generator))) and "has only pickled weights" in message


@pytest.mark.parametrize("seed", range(27))
@pytest.mark.parametrize("change", [damaged, with_an_odd_value])
def test_a_damaged_file_opens_or_is_refused_in_one_line(
    generator: Path, change: Callable[[bytes, int], bytes], seed: int
) -> None:
    (generator / "learned.json").write_text('{"classes": ["cat", "dog"], "context": 1.5}')
    index = {"weight_map": dict.fromkeys(load((generator / UNET).read_bytes()), Path(UNET).name)}
    (generator / f"{UNET}.index.json").write_text(json.dumps(index))
    files = sorted(generator.rglob("*.json"))
    file = files[seed % len(files)]
    file.write_bytes(change(file.read_bytes(), seed))
    try:
        opened(generator)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
