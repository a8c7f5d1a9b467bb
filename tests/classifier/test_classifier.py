from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffaug.classifier.network import build, load_classifier, save_classifier
from diffaug.classifier.predicting import Tensors, predict_logits
from diffaug.classifier.training import train_classifier
from diffaug.params.train_cls import TrainClsParams
from diffaug.runtime.errors import UserError
from diffaug.training.order import endless
from diffaug.training.run import Run

pytestmark = pytest.mark.slow


def params(**changes: object) -> TrainClsParams:
    values = {
        "model": "resnet18",
        "weights": None,
        "image_size": 16,
        "steps": 12,
        "batch_size": 8,
        "learning_rate": 0.001,
        "weight_decay": 0.01,
        "schedule": "one_cycle",
        "flip": 0.5,
        "augmentation": "plain",
        "shift": 0.1,
        "eval_every": 4,
    }
    return TrainClsParams.model_validate(values | changes)


def run(folder: Path, count: int, seed: int = 0, report: Callable[[int], object] = lambda step: None) -> Run:
    folder.mkdir(exist_ok=True)
    return Run("test", seed, lambda start: endless(count, seed, start=start), folder, report)


def dark_and_light(count: int, seed: int) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = torch.randint(100, (count, 3, 16, 16), generator=generator) + 150 * labels[:, None, None, None]
    return Tensors(images.to(torch.uint8), labels)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_learns_saves_and_loads(tmp_path: Path, schedule: str) -> None:
    settings = params(schedule=schedule, steps=24, eval_every=8)
    train, val = dark_and_light(20, 0), dark_and_light(10, 1)
    trained = train_classifier(train, val, 2, settings, run(tmp_path, 20))
    assert [row["step"] for row in trained.history] == [8, 16, 24]
    assert max(row["val_accuracy"] for row in trained.history) == 1.0
    save_classifier(tmp_path, trained.model, settings, ("dark", "light"))
    loaded, facts = load_classifier(tmp_path, torch.device("cpu"))
    assert facts == {
        **{"model": "resnet18", "image_size": 16, "names": ["dark", "light"]},
        "preprocessing": {
            **{"colour": "RGB", "resize": "stretch", "filter": "lanczos", "padding": None, "multiple_of": None},
            **{"range": [0.0, 1.0], "mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]},
        },
    }
    assert torch.equal(predict_logits(loaded, val.images), predict_logits(trained.model, val.images))


def test_the_best_checkpoint_is_kept(tmp_path: Path) -> None:
    train, val = dark_and_light(20, 0), dark_and_light(10, 1)
    settings = params(learning_rate=0.05, steps=10, eval_every=1)
    trained = train_classifier(train, val, 2, settings, run(tmp_path, 20))
    accuracy = (predict_logits(trained.model, val.images).argmax(1) == val.labels).float().mean().item()
    assert accuracy == max(row["val_accuracy"] for row in trained.history)


class Stopped(Exception):
    """Simulates a kill."""


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
@pytest.mark.parametrize("classic", [False, True])
def test_a_killed_training_ends_with_the_same_weights(tmp_path: Path, schedule: str, classic: bool) -> None:
    train, val = dark_and_light(12, 0), dark_and_light(6, 1)
    settings = params(steps=10, eval_every=4, schedule=schedule)

    def kill(step: int) -> None:
        if step == 7:
            raise Stopped

    whole = train_classifier(train, val, 2, settings, run(tmp_path / "whole", 12), classic)
    with pytest.raises(Stopped):
        train_classifier(train, val, 2, settings, run(tmp_path / "killed", 12, report=kill), classic)
    steps: list[int] = []
    again = train_classifier(train, val, 2, settings, run(tmp_path / "killed", 12, report=steps.append), classic)
    assert steps == [5, 6, 7, 8, 9, 10]
    assert again.history == whole.history
    own = whole.model.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in again.model.state_dict().items())


def test_the_curve_grows_at_every_evaluation(tmp_path: Path) -> None:
    lengths: dict[int, int] = {}

    def look(step: int) -> None:
        curve = tmp_path / "history.csv"
        lengths[step] = len(curve.read_text().splitlines()) - 1 if curve.exists() else 0

    train_classifier(dark_and_light(8, 0), dark_and_light(4, 1), 2, params(), run(tmp_path, 8, report=look))
    assert [lengths[step] for step in (4, 5, 8, 9, 12)] == [0, 1, 1, 2, 2]


def test_same_seed_same_weights_other_seed_or_augmentation_others(tmp_path: Path) -> None:
    train, val = dark_and_light(12, 0), dark_and_light(4, 1)
    settings = params(steps=3, eval_every=3)
    first, again, other, classic = (
        train_classifier(train, val, 2, settings, run(tmp_path / name, 12, seed), strong).model.state_dict()[
            "fc.weight"
        ]
        for name, seed, strong in (("a", 0, False), ("b", 0, False), ("c", 1, False), ("d", 0, True))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, classic)


def test_unknown_model_and_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train_cls\.model: found 'resnet19'; allowed are .*resnet18"):
        build(params(model="resnet19"), 2)
    with pytest.raises(UserError, match=r"train_cls\.weights: found 'BEST'; allowed are null, .*IMAGENET1K_V1"):
        build(params(weights="BEST"), 2)
    save_file({"other": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"no tensor of .* fits the model"):
        build(params(weights=str(tmp_path / "w.safetensors")), 2)


def test_weights_load_by_name_and_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = build(params(), 5)
    save_file(given.state_dict(), tmp_path / "w.safetensors")
    model = build(params(weights=str(tmp_path / "w.safetensors")), 2)
    assert torch.equal(model.state_dict()["conv1.weight"], given.state_dict()["conv1.weight"])
    assert "120 of 122 tensors" in capsys.readouterr().out
