"""A point and its interval are computed by different code: their definitions of the metric must agree."""

import numpy as np
import pytest
import torch
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record
from diffaug.detector.detections import Detections
from diffaug.evaluation.classification import ClsPredictions, resample_classification, score_classification
from diffaug.evaluation.detection import DetPredictions, match, resample_detection, score_detection

PIXEL = encode_png(Image.new("L", (1, 1)))


def both(run: ClsPredictions) -> tuple[dict[str, float], dict[str, float]]:
    resampled = resample_classification(run, np.ones((1, len(run.labels))))
    return score_classification(run), {name: float(values[0]) for name, values in resampled.items()}


def test_calibration_of_a_model_that_is_wholly_sure() -> None:
    probabilities = torch.tensor([[1.0, 0.0], [0.97, 0.03], [0.5, 0.5], [0.2, 0.8]])
    point, resampled = both(ClsPredictions(probabilities, torch.tensor([1, 0, 0, 1])))
    assert resampled["ece"] == pytest.approx(point["ece"], abs=1e-6)


def test_calibration_on_the_edges_of_the_bins() -> None:
    sure = torch.arange(8, 15, dtype=torch.float32) / 15
    probabilities = torch.stack([sure, 1 - sure], dim=1)
    point, resampled = both(ClsPredictions(probabilities, torch.tensor([0, 1, 0, 0, 1, 0, 0])))
    assert resampled["ece"] == pytest.approx(point["ece"], abs=1e-6)


def test_recall_on_a_threshold_counts_for_both() -> None:
    # Three of five objects are found, so recall ends at 0.6: 61 of the 101 thresholds, 0 to 0.60, have precision 1.
    boxes = tuple((20.0 * index, 0.0, 10.0, 10.0) for index in range(5))
    record = make_record("a", PIXEL, "test", bbox=boxes, category=(0,) * 5)
    corners = np.array([[20 * index, 0, 20 * index + 10, 10] for index in range(3)], np.float32)
    found = Detections(corners, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64))
    run = DetPredictions([found], [record], 1)
    resampled = resample_detection(match(run), np.ones((1, 1)))
    assert resampled["mAP50"][0] == pytest.approx(61 / 101)
    point, by_class = score_detection(run)
    assert point["mAP50"] == pytest.approx(61 / 101)
    assert by_class.tolist() == pytest.approx([61 / 101])


def test_overlap_decides_the_thresholds_that_are_hit() -> None:
    # 10 x 10 against its upper 10 x 7.2 part: IoU 0.72, a hit at 0.50 to 0.70 and not from 0.75 on.
    record = make_record("a", PIXEL, "test", bbox=((0.0, 0.0, 10.0, 10.0),), category=(0,))
    found = Detections(np.array([[0, 0, 10, 7.2]], np.float32), np.array([0.9], np.float32), np.array([0]))
    run = DetPredictions([found], [record], 1)
    assert match(run)[0].hit[:, 0].tolist() == [True] * 5 + [False] * 5
    assert score_detection(run)[0] == pytest.approx({"mAP50_95": 0.5, "mAP50": 1.0})


def test_detections_beyond_a_hundred_are_left_out_by_both() -> None:
    record = make_record("a", PIXEL, "test", bbox=((0.0, 0.0, 10.0, 10.0),), category=(0,))
    boxes = np.tile(np.array([[50, 50, 60, 60]], np.float32), (101, 1))
    boxes[100] = (0, 0, 10, 10)  # the only hit, with the lowest score
    scores = np.linspace(0.9, 0.1, 101, dtype=np.float32)
    run = DetPredictions([Detections(boxes, scores, np.zeros(101, np.int64))], [record], 1)
    assert score_detection(run)[0]["mAP50"] == 0
    assert resample_detection(match(run), np.ones((1, 1)))["mAP50"][0] == 0


def test_doubling_one_image_is_exact() -> None:
    # Object 1 is found, object 2 is missed, with a false alarm before it: doubling the second image halves the share.
    hit = Detections(np.array([[0, 0, 10, 10]], np.float32), np.array([0.5], np.float32), np.array([0]))
    wrong = Detections(np.array([[40, 40, 50, 50]], np.float32), np.array([0.8], np.float32), np.array([0]))
    records = [make_record(id, PIXEL, "test", bbox=((0.0, 0.0, 10.0, 10.0),), category=(0,)) for id in "ab"]
    matches = match(DetPredictions([hit, wrong], records, 1))
    values = resample_detection(matches, np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
    # (precision, share of the 101 recalls): (1/2, 51), (1/3, 34), (2/3, 67), all, none.
    expected = [51 / 2 / 101, 34 / 3 / 101, 67 * 2 / 3 / 101, 1, 0]
    assert values["mAP50"].tolist() == pytest.approx(expected)
