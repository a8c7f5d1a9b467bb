from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record
from diffaug.detector.detections import Detections
from diffaug.evaluation.confusion import detection_confusion, write_detection
from diffaug.evaluation.detection import DetPredictions, found_rows, truth_rows
from diffaug.evaluation.tables import TABLES, with_background
from diffaug.runtime.tables import read_table

PIXEL = encode_png(Image.new("L", (1, 1)))
RECORDS = [
    make_record("a", PIXEL, "test", bbox=((0, 0, 10, 10), (50, 50, 10, 10)), category=(0, 1)),
    make_record("b", PIXEL, "test"),
]


def run(*rows: tuple[int, float, float, int]) -> DetPredictions:
    """Detections of 10 x 10 pixels: image, place of the left and upper side, score, class."""
    found = []
    for image in (0, 1):
        own = [row for row in rows if row[0] == image]
        boxes = np.array([[at, at, at + 10, at + 10] for _, at, _, _ in own], np.float32).reshape(-1, 4)
        scores, labels = np.array([row[2] for row in own], np.float32), np.array([row[3] for row in own], np.int64)
        found.append(Detections(boxes, scores, labels))
    return DetPredictions(found, RECORDS, 2)


def confusion(of: DetPredictions) -> list[list[int]]:
    return detection_confusion(truth_rows(of), found_rows(of), 2, 2).tolist()


def test_right_wrong_missed_and_invented() -> None:
    of = run((0, 1, 0.9, 0), (0, 50, 0.8, 0), (1, 3, 0.7, 1))
    assert confusion(of) == [[1, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert confusion(run()) == [[0, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_the_surest_detection_takes_the_object_whatever_its_class() -> None:
    assert confusion(run((0, 0, 0.5, 0), (0, 1, 0.6, 1))) == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_unsure_and_shifted_detections_match_nothing() -> None:
    # Shifted by 2 of 10 pixels on both axes, boxes overlap by 64 of 136: an IoU of 0.47.
    assert confusion(run((0, 0, 0.25, 0), (0, 52, 0.9, 1))) == [[0, 0, 1], [0, 0, 1], [0, 1, 0]]


def test_both_arms_and_all_seeds_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_detection({"real": [run(), run((0, 0, 0.9, 0))], "merged": [run((1, 0, 0.9, 1))]}, ["cat", "狗"])
    pairs = {
        arm: Counter((row["actual"], row["predicted"]) for row in read_table(TABLES / f"det_confusion_{arm}.csv"))
        for arm in ("real", "merged")
    }
    assert pairs["real"] == {("cat", "cat"): 1, ("cat", "background"): 1, ("狗", "background"): 2}
    assert pairs["merged"] == {("cat", "background"): 1, ("狗", "background"): 1, ("background", "狗"): 1}


def test_a_class_named_background_is_another_one() -> None:
    assert with_background(["cat", "background"]) == ("cat", "background", "(background)")
