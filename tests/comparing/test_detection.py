"""The numbers of the detectors against pycocotools, and against Ultralytics' confusion matrix."""

import contextlib
import io
from pathlib import Path

import coco_sides
import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from diffaug.comparing.coco import Found, Truth, read_results, read_truth
from diffaug.comparing.detection import confusion_of, det_lines, det_notes, measure_detections
from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.statistics import image_weights

TRUTH = coco_sides.truth()
SIZES = ("all", "small", "medium", "large")


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    return read_truth(coco_sides.write_json(tmp_path / "truth.json", TRUTH))


def found(tmp_path: Path, truth: Truth, seed: int = 1, skill: float = 0.8) -> Found:
    return read_results(coco_sides.write_json(tmp_path / "found.json", coco_sides.results(TRUTH, seed, skill)), truth)


def measure(truth: Truth, of: Found, weights: np.ndarray | None = None) -> Measured:
    weights = np.ones((1, truth.images)) if weights is None else weights
    with tqdm(disable=True) as bar:
        return measure_detections(truth, of, weights, bar)


def precision_of_pycocotools(folder: Path, images: list[int] | None = None) -> np.ndarray:
    """(IoUs, recalls, classes, sizes) of truth.json and found.json, by the library's own accumulation."""
    # It takes a match with the object 0 for none, so the ids begin with 1.
    shifted = {**TRUTH, "annotations": [row | {"id": row["id"] + 1} for row in TRUTH["annotations"]]}
    with contextlib.redirect_stdout(io.StringIO()):
        whole = COCO(str(coco_sides.write_json(folder / "shifted.json", shifted)))
        evaluation = COCOeval(whole, whole.loadRes(str(folder / "found.json")), "bbox")
        evaluation.params.imgIds = images or evaluation.params.imgIds
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][..., -1]


def mean(values: np.ndarray) -> float:
    return float(values[values > -1].mean())


def test_every_number_is_that_of_pycocotools(tmp_path: Path, truth: Truth) -> None:
    points = measure(truth, found(tmp_path, truth)).points
    precision = precision_of_pycocotools(tmp_path)
    expected = {"mAP50-95": mean(precision[..., 0]), "mAP50": mean(precision[0, ..., 0])}
    for place, size in enumerate(SIZES[1:], 1):
        expected[f"mAP50-95, {size} objects"] = mean(precision[..., place])
    for place, name in enumerate(list(coco_sides.NAMES.values())[:3]):
        expected[f"mAP50-95 of {name}"] = mean(precision[:, :, place, 0])
    assert {name: points[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert 0.1 < min(expected.values()) < max(expected.values()) < 0.9
    assert [line.title for line in det_lines(truth)] == list(expected)
    assert np.isnan(points["mAP50-95 of unicorn"])


def test_a_resample_is_pycocotools_on_the_images_it_drew(tmp_path: Path, truth: Truth) -> None:
    drawn = np.arange(truth.images) % 3 > 0
    resampled = measure(truth, found(tmp_path, truth), drawn[None].astype(float)).resampled
    precision = precision_of_pycocotools(tmp_path, (100 + np.flatnonzero(drawn)).tolist())
    for place, size in enumerate(SIZES[1:], 1):
        assert resampled[f"mAP50-95, {size} objects"][0] == pytest.approx(mean(precision[..., place]), abs=1e-9)
    assert resampled["mAP50-95"][0] == pytest.approx(mean(precision[..., 0]), abs=1e-9)


def test_the_images_of_a_line_are_those_with_such_an_object(truth: Truth) -> None:
    lines = {line.title: line.images for line in det_lines(truth)}
    owls = {row["image_id"] for row in TRUTH["annotations"] if row["category_id"] == 7 and not row["iscrowd"]}
    small = {row["image_id"] for row in TRUTH["annotations"] if row["area"] <= 32**2 and not row["iscrowd"]}
    assert (lines["mAP50-95"], lines["mAP50-95 of owl"]) == (60, len(owls))
    assert lines["mAP50-95, small objects"] == len(small)


def test_a_detector_that_finds_nothing_scores_zero(truth: Truth) -> None:
    none = Found(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 4)), np.zeros(0))
    measured = measure(truth, none, image_weights(truth.images, 10, 0))
    assert measured.points["mAP50-95"] == 0 and (measured.resampled["mAP50"] == 0).all()
    assert confusion_of(truth, [none])[:, :-1].sum() == 0
    notes = det_notes(truth, [[none], [none]], [[measured], [measured]])
    assert notes[0] == "A: 60 of 60 images have no detection"
    assert notes[1].startswith("A: mAP50 is below 5: check that category_id follows the truth")


def test_the_confusion_matrix_is_that_of_ultralytics(
    tmp_path: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    import diffaug.detector.ultralytics_home  # noqa: F401, I001
    from ultralytics.utils.metrics import ConfusionMatrix

    crowds = {row["image_id"] for row in TRUTH["annotations"] if row["iscrowd"]}  # which Ultralytics does not know
    plain = {**TRUTH, "annotations": [row for row in TRUTH["annotations"] if row["image_id"] not in crowds]}
    rows = [row for row in coco_sides.results(TRUTH, 1, 0.8) if row["image_id"] not in crowds]
    truth = read_truth(coco_sides.write_json(tmp_path / "plain.json", plain))
    ours = confusion_of(truth, [read_results(coco_sides.write_json(tmp_path / "rows.json", rows), truth)])
    theirs = ConfusionMatrix(names=dict(enumerate(truth.names)))
    places = {number: place for place, number in enumerate(coco_sides.NAMES)}
    for image in plain["images"]:
        seen, real = ([row for row in of if row["image_id"] == image["id"]] for of in (rows, plain["annotations"]))
        corners = [
            torch.tensor([[x, y, x + w, y + h] for x, y, w, h in (row["bbox"] for row in of)]).reshape(-1, 4)
            for of in (seen, real)
        ]
        classes = [torch.tensor([places[row["category_id"]] for row in of]) for of in (seen, real)]
        theirs.process_batch(
            {"bboxes": corners[0], "conf": torch.tensor([row["score"] for row in seen]), "cls": classes[0]},
            {"bboxes": corners[1], "cls": classes[1]},
            conf=0.25,
            iou_thres=0.5,
        )
    assert ours.tolist() == theirs.matrix.T.astype(int).tolist()
    assert ours.diagonal().sum() > 20 and ours[-1].sum() > 5 and ours[:, -1].sum() > 5


def test_crowd_regions_are_no_objects_and_hide_false_alarms(tmp_path: Path) -> None:
    box = [10, 10, 100, 100]
    content = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": box, "area": 9000, "iscrowd": 1},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [200, 200, 50, 50], "area": 2500, "iscrowd": 0},
        ],
    }
    truth = read_truth(coco_sides.write_json(tmp_path / "truth.json", content))
    rows = [{"image_id": 1, "category_id": 1, "bbox": [20 * n, 20, 15, 15], "score": 0.9} for n in range(1, 4)]
    of = read_results(coco_sides.write_json(tmp_path / "rows.json", rows), truth)
    assert confusion_of(truth, [of]).tolist() == [[0, 1], [0, 0]]
    assert confusion_of(truth, [of, of]).tolist() == [[0, 2], [0, 0]]
