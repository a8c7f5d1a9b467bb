from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record
from diffaug.detector.network import build, save_detector
from diffaug.detector.predicting import detect, embed, load_detector
from diffaug.detector.training import _StepTrainer, train_detector
from diffaug.export.yolo import write_data_yaml, write_yolo
from diffaug.params.train_det import TrainDetParams
from diffaug.runtime.errors import UserError
from diffaug.training.order import endless
from diffaug.training.run import Run

pytestmark = pytest.mark.slow

NAMES = ("dark", "light")
CPU = torch.device("cpu")


def params(**changes: object) -> TrainDetParams:
    values = {
        "model": "yolo11n.yaml",
        "weights": None,
        "image_size": 64,
        "steps": 4,
        "batch_size": 4,
        "learning_rate": 0.001,
        "flip": 0.5,
        "augmentation": "plain",
        "mosaic": 1.0,
        "eval_every": 2,
        "workers": 0,
    }
    return TrainDetParams.model_validate(values | changes)


def run(folder: Path, count: int, report: Callable[[int], object] = lambda step: None) -> Run:
    return Run("test", 0, lambda start: endless(count, 0, start=start), folder, report)


def scenes(count: int) -> ImageSet:
    """Scenes with one square each, the last one empty."""
    records = []
    for index in range(count):
        image = Image.new("RGB", (64, 64), (90, 90, 90))
        box, shade = (4.0 + 3 * index, 10.0, 20.0, 20.0), 255 * (index % 2)
        image.paste((shade, shade, shade), (4 + 3 * index, 10, 24 + 3 * index, 30))
        last = index == count - 1
        records.append(
            make_record(
                f"{index:03d}",
                encode_png(Image.new("RGB", (64, 64)) if last else image),
                "train",
                bbox=() if last else (box,),
                category=() if last else (index % 2,),
            )
        )
    return ImageSet(NAMES, tuple(records))


def data(folder: Path, count: int) -> Path:
    for split in ("train", "val"):
        write_yolo(scenes(count), folder, split)
    return write_data_yaml(folder, NAMES, {"train": "train", "val": "val"})


def test_trains_saves_and_loads_in_ultralytics(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    work = tmp_path / "work"
    trained = train_detector(data(work, 6), NAMES, params(), run(work, 6), CPU)
    assert [row["step"] for row in trained.history] == [2, 4]
    assert {"train_box_loss", "val_mAP50", "val_mAP50_95"} <= set(trained.history[0])
    save_detector(tmp_path / "model", trained.model, params(), NAMES)
    yolo, facts = load_detector(tmp_path / "model")
    assert facts["names"] == list(NAMES)
    assert yolo.names == {0: "dark", 1: "light"}
    own = trained.model.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in yolo.model.state_dict().items())

    found = detect(yolo, scenes(3).records, 64, torch.device("cpu"))
    assert len(found) == 3
    for one in found:
        assert one.boxes.shape == (len(one.scores), 4)
        assert np.all((one.boxes >= 0) & (one.boxes <= 64))
    features = embed(yolo, [record.open().convert("RGB") for record in scenes(3)], 64, CPU)
    assert features.shape[0] == 3 and features.ndim == 2 and features.shape[1] > 16
    assert len(features.unique(dim=0)) > 1
    # No output, and no pickled file is left.
    assert "Ultralytics" not in capfd.readouterr().out
    assert not list(tmp_path.rglob("*.pt"))


class Stopped(Exception):
    """Simulates a kill."""


@pytest.mark.parametrize("model", ["yolo11n.yaml", "yolo26n.yaml"])
def test_a_killed_training_ends_with_the_same_weights(tmp_path: Path, model: str) -> None:
    """With mosaics, whose other images come from a buffer of those used before; yolo26 also changes its loss over the
    epochs."""
    chosen = params(model=model, steps=8)

    def kill(step: int) -> None:
        if step == 5:
            raise Stopped

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = train_detector(data(whole, 11), NAMES, chosen, run(whole, 11), CPU)
    with pytest.raises(Stopped):
        train_detector(data(killed, 11), NAMES, chosen, run(killed, 11, kill), CPU)
    steps: list[int] = []
    again = train_detector(data(killed, 11), NAMES, chosen, run(killed, 11, steps.append), CPU)
    assert steps in ([3, 4, 5, 6, 7, 8], [5, 6, 7, 8])  # the second checkpoint may have been too soon after the first
    assert again.history == expected.history
    own = expected.model.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in again.model.state_dict().items())


def test_smaller_batches_than_asked_for_stop_the_training(tmp_path: Path) -> None:
    """Ultralytics halves them where the memory is too small, and starts the epoch again."""
    trainer = SimpleNamespace(batch_size=2, wanted_batch_size=4, run=run(tmp_path, 3))
    with pytest.raises(UserError, match=r"test: batches of 4 do not fit in the memory; lower train_det\.batch_size"):
        _StepTrainer.begin_epoch(trainer)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["yolov8n.yaml", "yolo26n.yaml", "rtdetr-l.yaml"])
def test_other_architectures_train_save_and_predict(tmp_path: Path, model: str) -> None:
    chosen = params(model=model, steps=1, eval_every=1, batch_size=2)
    work = tmp_path / "work"
    trained = train_detector(data(work, 3), NAMES, chosen, run(work, 3), CPU)
    save_detector(tmp_path / "model", trained.model, chosen, NAMES)
    opened, _ = load_detector(tmp_path / "model")
    own = trained.model.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in opened.model.state_dict().items())
    found = detect(opened, scenes(2).records, 64, CPU)
    assert all(one.boxes.shape == (len(one.scores), 4) and set(one.labels.tolist()) <= {0, 1} for one in found)


def test_steps_do_not_depend_on_how_many_images_there_are(tmp_path: Path) -> None:
    for count in (3, 11):
        work = tmp_path / str(count)
        trained = train_detector(data(work, count), NAMES, params(), run(work, count), CPU)
        assert [row["step"] for row in trained.history] == [2, 4]


def test_the_classic_augmentation_trains_otherwise(tmp_path: Path) -> None:
    """With the same weights, images and order."""
    losses = []
    for classic in (False, False, True):
        work = tmp_path / f"{len(losses)}"
        trained = train_detector(data(work, 6), NAMES, params(mosaic=0.0), run(work, 6), CPU, strong=classic)
        losses.append([row["train_box_loss"] for row in trained.history])
    assert losses[0] == losses[1] != losses[2]


def test_weights_load_by_name_and_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = build(params(), ("a", "b", "c"))
    save_file({key: value.half() for key, value in given.state_dict().items()}, tmp_path / "w.safetensors")
    model = build(params(weights=str(tmp_path / "w.safetensors")), NAMES)
    key = "model.0.conv.weight"
    assert torch.equal(model.state_dict()[key], given.state_dict()[key].half().float())
    matched, total = (int(word) for word in capsys.readouterr().out.split() if word.isdigit())
    assert 0 < matched < total


def test_real_weights_load(capsys: pytest.CaptureFixture[str]) -> None:
    weights = Path(__file__).resolve().parents[3] / "shared/weights/yolov5n_coco.safetensors"
    if not weights.exists():
        pytest.skip(f"{weights} is not on this machine")
    build(params(model="yolov5n.yaml", weights=str(weights)), NAMES)
    assert "342 of 427 tensors" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["yolo99n.yaml", "missing/own.yaml"])
def test_unknown_model_is_refused(model: str) -> None:
    with pytest.raises(UserError, match=r"train_det\.model: found .* allowed are"):
        build(params(model=model), NAMES)


def test_missing_or_foreign_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train_det\.weights: nowhere\.safetensors does not exist"):
        build(params(weights="nowhere.safetensors"), NAMES)
    save_file({"other": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"no tensor of .* fits the model"):
        build(params(weights=str(tmp_path / "w.safetensors")), NAMES)
