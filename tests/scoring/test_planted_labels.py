"""The control classifier rejects images with wrong labels and keeps images with right ones: real blood cells."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from paths import ROOT
from sets import write_material
from shared_data import shared

from diffaug.classifier.network import save_classifier
from diffaug.classifier.predicting import to_tensors
from diffaug.classifier.training import train_classifier
from diffaug.dataset.records import ImageSet, Record, make_record
from diffaug.params.download import BoxFolder, Crops
from diffaug.params.filter import ClsChecks, Label
from diffaug.params.train_cls import TrainClsParams
from diffaug.scoring.ledger import Entry
from diffaug.scoring.policy import judge
from diffaug.scoring.scores import measure_all
from diffaug.sources.box_folder import box_folder
from diffaug.sources.crops import read_cls
from diffaug.sources.placing import to_real_data
from diffaug.sources.real import Inputs
from diffaug.training.order import endless
from diffaug.training.run import Run

pytestmark = pytest.mark.slow

CHECKS = ClsChecks(label=Label(min_probability=0.1, max_rank=1, max_probability=None))


@pytest.fixture(scope="module")
def cells() -> tuple[tuple[str, ...], dict[str, list[Record]]]:
    """Crops of the official splits: up to 60 per class and split."""
    folder = BoxFolder(source="folder", path=str(shared("bccd")), val_fraction=0.2, test_fraction=0.2)
    photographs = to_real_data(box_folder(folder), folder, 0, strict=False)
    cut = Crops(source="crops", context=1.2, min_side=16, per_class=60)
    data = read_cls(cut, Inputs(0, True, Path("unused"), photographs))
    return data.names, {split: list(records) for split, records in data.splits.items()}


def test_shuffled_labels_are_rejected_and_right_ones_stay(
    cells: tuple[tuple[str, ...], dict[str, list[Record]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names, splits = cells
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train_cls"]
    params = TrainClsParams.model_validate(raw | {"steps": 60, "batch_size": 32, "eval_every": 20})
    train, val = (
        to_tensors(ImageSet(names, tuple(splits[split])), params.image_size, torch.device("cpu"))
        for split in ("train", "val")
    )
    run = Run("teacher", 0, lambda start: endless(len(train.labels), 0, start=start), tmp_path)
    trained = train_classifier(train, val, len(names), params, run)
    save_classifier(tmp_path / "models/cls/real-0", trained.model, params, names)

    generator = np.random.default_rng(0)
    generated = []
    for record in splits["test"]:  # they replace generated images: the classifier was not trained on them
        assert record.label is not None
        wrong = (record.label + int(generator.integers(1, len(names)))) % len(names)
        for kind, label in (("right", record.label), ("wrong", wrong)):
            id = f"{kind}/{record.id}"
            generated.append(make_record(id, record.image, "train", label=label, origin="synthetic"))
    material = write_material(tmp_path, generated, names=names)
    rows = measure_all(CHECKS, material, tmp_path)
    judged = [judge(Entry(record.id, "", row), CHECKS) for record, row in zip(material.generated, rows)]
    rejected = {
        kind: np.mean([not one.accepted for one in judged if one.id.startswith(kind)]) for kind in ("right", "wrong")
    }
    assert rejected["wrong"] > 0.9
    assert rejected["right"] < 0.2
