from pathlib import Path

import pytest
import torch
from report_inputs import picture

from diffaug.dataset.records import ImageSet
from diffaug.evaluation.classification import ClsPredictions
from diffaug.evaluation.tables import TABLES, write_classification, write_per_class, write_training
from diffaug.runtime.errors import UserError
from diffaug.runtime.tables import read_table, write_table


def test_training_curves_are_means_over_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arm, values in {"real": [0.1, 0.2], "merged": [0.3, 0.5]}.items():
        for seed in (0, 1):
            rows = [[step, value + seed / 10] for step, value in zip((5, 10), values)]
            write_table(tmp_path / f"{arm}-{seed}.csv", ["step", "val_accuracy"], rows)
    write_training("cls", tmp_path, [0, 1])
    assert read_table(TABLES / "cls_training.csv") == [
        {"step": "5", "real": "0.15", "merged": "0.35"},
        {"step": "10", "real": "0.25", "merged": "0.55"},
    ]


def test_single_classes_are_means_over_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_per_class("det", ["cat", "狗"], {"real": [[0.2, 0.4], [0.4, 0.6]], "merged": [[1.0, 0.0], [1.0, 0.0]]})
    assert read_table(TABLES / "det_per_class_mAP50_95.csv") == [
        {"class": "cat", "real": "0.3", "merged": "1"},
        {"class": "狗", "real": "0.5", "merged": "0"},
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("step,val_accuracy\n1,0.7x\n", "could not convert string to float: '0.7x'"),
        ("step,val_acuracy\n1,0.7\n", "'val_accuracy'"),
    ],
)
def test_a_damaged_curve_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "real-0.csv").write_text(content)
    with pytest.raises(UserError, match=rf"real-0\.csv: not a training curve \({message}\); run `dvc repro`"):
        write_training("cls", tmp_path, [0])


def test_a_changed_image_names_the_class_of_the_models_that_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*predicted: int) -> ClsPredictions:
        return ClsPredictions(torch.eye(3)[list(predicted)], torch.tensor([0, 1]))

    test = ImageSet(("cat", "dog", "cow"), tuple(picture(f"t{label}", label=label) for label in (0, 1)))
    write_classification({"real": [run(0, 2), run(0, 1), run(1, 2)], "merged": [run(0, 1)] * 3}, test, [0, 1, 2])
    assert read_table(TABLES / "cls_changed_images.csv") == [
        {"id": "t0", "real_right": "2", "real_mistaken_for": "dog", "merged_right": "3", "merged_mistaken_for": ""},
        {"id": "t1", "real_right": "1", "real_mistaken_for": "cow", "merged_right": "3", "merged_mistaken_for": ""},
    ]
