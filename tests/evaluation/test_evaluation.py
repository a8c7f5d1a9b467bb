import numpy as np
import pytest
import torch
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.detector.detections import Detections
from diffaug.evaluation.classification import (
    ClsPredictions,
    fit_temperature,
    per_class_accuracy,
    resample_classification,
    score_classification,
)
from diffaug.evaluation.detection import (
    ClassMatches,
    DetPredictions,
    average_precision,
    match,
    resample_detection,
    score_detection,
)

PIXEL = encode_png(Image.new("L", (1, 1)))


def predictions(count: int = 60, classes: int = 5, seed: int = 0) -> ClsPredictions:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn((count, classes), generator=generator)
    logits[:, 4] = -9  # never predicted
    return ClsPredictions(logits.softmax(1), torch.randint(classes, (count,), generator=generator))


def test_classification_under_equal_weights_is_torchmetrics() -> None:
    run = predictions()
    resampled = resample_classification(run, np.ones((1, 60)))
    for name, value in score_classification(run).items():
        assert resampled[name][0] == pytest.approx(value, abs=1e-6)


def test_classification_weights_are_copies() -> None:
    run = predictions()
    weights = np.random.default_rng(0).integers(3, size=60)
    index = np.repeat(np.arange(60), weights)
    copied = ClsPredictions(run.probabilities[index], run.labels[index])
    resampled = resample_classification(run, weights[None].astype(float))
    for name, value in score_classification(copied).items():
        assert resampled[name][0] == pytest.approx(value, abs=1e-6)


def test_classification_by_hand() -> None:
    run = ClsPredictions(torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]), torch.tensor([0, 0, 1, 0]))
    scores = score_classification(run)
    assert scores["accuracy"] == pytest.approx(0.75)
    assert scores["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert scores["ece"] == pytest.approx(0.15)
    assert per_class_accuracy(run).tolist() == pytest.approx([2 / 3, 1])


def detections(count: int = 40, classes: int = 4, seed: int = 0) -> DetPredictions:
    """Random objects of all classes except the last, found with jitter, misses and false alarms; some images empty."""
    generator = np.random.default_rng(seed)
    records: list[Record] = []
    found: list[Detections] = []
    for index in range(count):
        objects = int(generator.integers(0, 4))
        boxes = np.concatenate(
            [generator.uniform(0, 60, (objects, 2)), generator.uniform(10, 40, (objects, 2))], axis=1
        )
        category = generator.integers(classes - 1, size=objects)
        records.append(
            make_record(
                f"{index:03d}",
                PIXEL,
                "test",
                bbox=tuple(tuple(float(value) for value in box) for box in boxes),
                category=tuple(int(value) for value in category),
            )
        )
        kept = generator.random(objects) < 0.8
        extra = int(generator.integers(0, 3))
        jittered = boxes[kept] + generator.normal(0, 3, (int(kept.sum()), 4))
        invented = np.concatenate([generator.uniform(0, 60, (extra, 2)), generator.uniform(10, 40, (extra, 2))], axis=1)
        xywh = np.concatenate([jittered, invented]).astype(np.float32)
        xywh[:, 2:] += xywh[:, :2]
        labels = np.concatenate([category[kept], generator.integers(classes, size=extra)]).astype(np.int64)
        scores = generator.permutation(1000)[: len(labels)].astype(np.float32) / 1000 + np.float32(index / 1e6)
        found.append(Detections(xywh, scores, labels))
    return DetPredictions(found, records, classes)


def test_detection_under_equal_weights_is_torchmetrics() -> None:
    run = detections()
    scores, by_class = score_detection(run)
    assert 0.05 < scores["mAP50_95"] < scores["mAP50"] < 0.95
    resampled = resample_detection(match(run), np.ones((1, 40)))
    for name, value in scores.items():
        assert resampled[name][0] == pytest.approx(value, abs=1e-5)
    assert np.isnan(by_class[3])
    own = [average_precision(one, np.ones((1, 40))).mean() for one in match(run)]
    assert own[:3] == pytest.approx(by_class[:3].tolist(), abs=1e-5)


def test_detection_weights_are_copies() -> None:
    run = detections()
    weights = np.random.default_rng(1).integers(3, size=40)
    index = np.repeat(np.arange(40), weights)
    copied = DetPredictions([run.detections[i] for i in index], [run.records[i] for i in index], run.classes)
    resampled = resample_detection(match(run), weights[None].astype(float))
    # Copies have equal scores, whose order COCO does not define; here, all copies of an image stay together.
    for name, value in score_detection(copied)[0].items():
        assert resampled[name][0] == pytest.approx(value, abs=0.01)


def test_resamples_that_do_not_fit_into_memory_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    run = detections()
    weights = np.random.default_rng(1).integers(3, size=(7, 40)).astype(float)
    whole = resample_detection(match(run), weights)
    monkeypatch.setattr("diffaug.evaluation.detection._AT_ONCE", 100)
    for name, values in resample_detection(match(run), weights).items():
        assert values.tolist() == whole[name].tolist()


def test_average_precision_by_hand() -> None:
    # Four objects; hit, miss, hit: precision 1, 1/2, 2/3 at recall 1/4, 1/4, 1/2. Recalls 0 to 0.25 (26 of the 101
    # points) reach precision 1, those to 0.5 (25 points) 2/3, the rest none.
    hit = np.array([[True, False, True]] * 10)
    matches = ClassMatches(np.array([0, 1, 1]), hit, np.array([2, 2]))
    assert average_precision(matches, np.ones((1, 2)))[0] == pytest.approx([(26 + 25 * 2 / 3) / 101] * 10)
    assert np.isnan(average_precision(matches, np.zeros((1, 2)))).all()


def test_ignored_detections_are_neither_hits_nor_false_alarms() -> None:
    # Two objects; hit, ignored, miss, hit: precision 1 and 2/3 at recall 1/2 and 1. Without the third image, which has
    # the miss, precision is 1 throughout.
    hit, ignored = (np.array([flags] * 10, dtype=bool) for flags in ((1, 0, 0, 1), (0, 1, 0, 0)))
    matches = ClassMatches(np.arange(4), hit, np.array([1, 0, 0, 1]), ignored)
    values = average_precision(matches, np.array([[1.0, 1, 1, 1], [1, 3, 0, 1]]))
    assert values[0] == pytest.approx([(51 + 50 * 2 / 3) / 101] * 10)
    assert values[1] == pytest.approx([1] * 10)


def test_a_model_that_finds_nothing_scores_zero() -> None:
    run = detections()
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    empty = DetPredictions([nothing] * 40, run.records, run.classes)
    assert score_detection(empty)[0] == {"mAP50_95": 0, "mAP50": 0}
    assert resample_detection(match(empty), np.ones((1, 40)))["mAP50"][0] == 0


def test_a_temperature_mends_overconfidence_and_changes_no_prediction() -> None:
    """Labels drawn with the probabilities of logits: three times the logits needs a temperature of three."""
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn((6000, 4), generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    temperature = fit_temperature(3 * logits, labels)
    assert temperature == pytest.approx(3.0, rel=0.05)
    run = ClsPredictions((3 * logits).softmax(1), labels, temperature)
    scores = score_classification(run)
    assert scores["ece"] > 0.1 > 0.03 > scores["ece_scaled"]
    assert torch.equal(run.scaled.argmax(1), run.predicted)
    resampled = resample_classification(run, np.ones((1, 6000)))
    assert resampled["ece_scaled"][0] == pytest.approx(scores["ece_scaled"], abs=1e-6)
