import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import damaged, with_an_odd_value
from default_params import params
from safetensors.torch import load, save_file

from diffaug.classifier.network import build, known_models, load_classifier, save_classifier
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import seal

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    save_classifier(folder, build(params().train_cls, 2), params().train_cls, ("cat", "dog"))
    return folder


@pytest.fixture
def classifier(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "cls"))


def refused(folder: Path) -> str:
    seal(folder)  # as by someone who means harm
    with pytest.raises(UserError) as caught:
        load_classifier(folder, CPU)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_models_are_the_resnets_of_torchvision() -> None:
    assert {"resnet18", "resnet152", "resnext50_32x4d", "wide_resnet50_2"} <= set(known_models())
    assert "resnet18_v2" not in known_models() and "vit_b_16" not in known_models()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", r"not readable \(.*\); fetch"),
        ("[1, 2]", "found a list; allowed is a mapping"),
        (
            '{"model": "resnet18", "names": ["a"]}',
            "image_size: Field required; run `dvc pull`, or train the model again",
        ),
        ("[" * 200_000, "is nested more than 64 deep"),
    ],
)
def test_a_damaged_model_json_is_one_line(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "model.json").write_text(content)
    assert re.match(rf"{tmp_path}/model\.json: {words}", refused(tmp_path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "vit_h_14"}, "model: found 'vit_h_14'; allowed are resnet101, "),
        ({"model": ["resnet18"]}, "model: Input should be a valid string, found a list of 1"),
        ({"names": [1, 2]}, r"names\.0: Input should be a valid string, found 1"),
        ({"names": ["a"] * 30_001}, "names: List should have at most 30000 items after validation, not 30001"),
        ({"image_size": 10**9}, "image_size: Input should be less than or equal to 2048, found 1000000000"),
        ({"image_size": 8}, "image_size: Input should be greater than or equal to 16, found 8"),
    ],
)
def test_a_wrong_value_in_model_json_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    facts = {"model": "resnet18", "image_size": 32, "names": ["cat", "dog"]}
    (tmp_path / "model.json").write_text(json.dumps(facts | changes))
    assert re.match(rf"{tmp_path}/model\.json: {words}", refused(tmp_path))


def test_no_classifier_is_one_line(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path}: no classifier; run `dvc repro` or `dvc pull` first"


def test_damaged_weights_are_one_line(classifier: Path) -> None:
    file = classifier / "model.safetensors"
    whole = file.read_bytes()
    for content in (whole[:-100], whole[:5], b""):
        file.write_bytes(content)
        assert re.match(rf"{file}: is damaged, or not of the model in model\.json", refused(classifier))
    file.write_bytes(whole)
    facts = json.loads((classifier / "model.json").read_text())
    (classifier / "model.json").write_text(json.dumps(facts | {"names": ["a", "b", "c"]}))
    assert "size mismatch for fc.weight" in refused(classifier)


def test_weights_that_are_not_finite_are_refused(classifier: Path) -> None:
    file = classifier / "model.safetensors"
    weights = load(file.read_bytes())
    weights["layer1.0.bn1.running_mean"][3] = float("nan")
    save_file(weights, file)
    assert refused(classifier).startswith(
        f"{file}: layer1.0.bn1.running_mean has weights that are not finite numbers; take other weights"
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("change", [damaged, with_an_odd_value])
def test_a_damaged_file_opens_or_is_refused_in_one_line(
    classifier: Path, change: Callable[[bytes, int], bytes], seed: int
) -> None:
    file = classifier / "model.json"
    file.write_bytes(change(file.read_bytes(), seed))
    try:
        load_classifier(classifier, CPU)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
