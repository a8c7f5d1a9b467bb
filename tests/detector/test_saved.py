"""A detector from its folder, which somebody may have changed."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import as_yaml, small
from damage import damaged, refused, with_an_odd_value
from default_params import params
from safetensors.torch import load, save_file

from diffaug.detector.architecture import read_architecture
from diffaug.detector.network import build, open_detector, save_detector
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import seal

HOSTILE = [
    "__import__('os').system('touch pwned')",
    "print",
    "nn.SiLU() if open('pwned', 'w') else 0",
    "torch.hub.load('owner/model', 'x')",
    "nn.Module()",
    "nn.SiLU().__class__()",
    "nn.SiLU()\nopen('pwned', 'w')",
    "nn.LeakyReLU(9**9**9)",
    ["nn.SiLU()"],
    7,
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    chosen = params().train_det.model_copy(update={"model": as_yaml(folder, small())})
    save_detector(folder / "model", build(chosen, ("cat", "dog")), chosen, ("cat", "dog"))
    return folder / "model"


@pytest.fixture
def detector(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a saved detector, in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(saved, tmp_path / "det"))


def edit(detector: Path, **changes: Any) -> None:
    facts = json.loads((detector / "model.json").read_text())
    (detector / "model.json").write_text(json.dumps(facts | changes))


def reopened(detector: Path) -> object:
    """Opened after its seal was made again, as by someone who means harm."""
    seal(detector)
    return open_detector(detector)


def test_a_saved_detector_opens(detector: Path) -> None:
    model, facts = reopened(detector)
    assert (facts["names"], model.names) == (["cat", "dog"], {0: "cat", 1: "dog"})
    assert list(facts) == ["model", "image_size", "names", "preprocessing", "architecture"]


@pytest.mark.parametrize("activation", HOSTILE)
def test_a_hostile_activation_is_refused_and_runs_nothing(detector: Path, activation: Any) -> None:
    layers = small(activation=activation)
    edit(detector, architecture=layers)
    words = "activation: found .*; allowed is one of torch's, such as nn.SiLU"
    assert re.match(rf"{detector}/model\.json: architecture: {words}", refused(lambda: reopened(detector)))
    name = as_yaml(detector.parent, layers)
    assert re.match(rf"params\.yaml: train_det\.model: {name}: {words}", refused(lambda: read_architecture(name)))
    assert not list(detector.parent.rglob("pwned"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", r"not readable \(.*\); fetch"),
        ("[1, 2]", "found a list; allowed is a mapping"),
        ("{}", r"model: Field required; run `dvc pull`, or train the model again"),
        ("[" * 200_000, "is nested more than 64 deep"),
        ('{"architecture":' * 200_000, "is nested more than 64 deep"),
    ],
)
def test_a_damaged_model_json_is_one_line(detector: Path, content: str, words: str) -> None:
    (detector / "model.json").write_text(content)
    assert re.match(rf"{detector}/model\.json: {words}", refused(lambda: reopened(detector)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"names": ["cat", 7]}, r"names\.1: Input should be a valid string, found 7"),
        ({"names": "cat"}, "names: Input should be a valid list, found 'cat'"),
        ({"names": []}, "names: List should have at least 1 item"),
        ({"image_size": 10**9}, "image_size: Input should be less than or equal to 2048, found 1000000000"),
        ({"image_size": "64"}, "image_size: Input should be a valid integer, found '64'"),
        ({"model": None}, "model: Input should be a valid string, found None"),
        ({"architecture": "yolo11n.yaml"}, "architecture: Input should be a valid dictionary, found 'yolo11n.yaml'"),
        ({"architecture": {}}, "architecture: backbone: found None"),
    ],
)
def test_a_wrong_value_in_model_json_is_named(detector: Path, changes: dict[str, Any], words: str) -> None:
    edit(detector, **changes)
    assert re.match(rf"{detector}/model\.json: {words}", refused(lambda: reopened(detector)))


def test_damaged_weights_are_one_line(detector: Path) -> None:
    file = detector / "model.safetensors"
    whole, weights = file.read_bytes(), load(file.read_bytes())
    for content in (whole[:-100], whole[:5], b"", b"\xff" * 100):
        file.write_bytes(content)
        assert re.match(rf"{file}: is damaged, or not of the model in model\.json", refused(lambda: reopened(detector)))
    save_file(weights | {"model.0.conv.weight": torch.zeros(3)}, file)
    assert "size mismatch for model.0.conv.weight" in refused(lambda: reopened(detector))
    file.unlink()
    assert re.match(rf"{file}: does not exist; run `dvc pull`", refused(lambda: reopened(detector)))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(detector: Path, number: float) -> None:
    weights = load((detector / "model.safetensors").read_bytes())
    weights["model.1.bn.running_var"][3] = number
    save_file(weights, detector / "model.safetensors")
    message = refused(lambda: reopened(detector))
    assert "model.safetensors: model.1.bn.running_var has weights that are not finite numbers" in message


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("change", [damaged, with_an_odd_value])
def test_a_damaged_file_opens_or_is_refused_in_one_line(
    detector: Path, change: Callable[[bytes, int], bytes], seed: int
) -> None:
    file = detector / "model.json"
    file.write_bytes(change(file.read_bytes(), seed))
    try:
        open_detector(detector)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
