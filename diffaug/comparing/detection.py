"""A detector's mean average precision, by class and by the size of objects, on the test set and resampled."""

from collections.abc import Sequence

import numpy as np
from pycocotools.cocoeval import Params
from tqdm import tqdm

from diffaug.comparing.coco import Found, Truth
from diffaug.comparing.lines import Line
from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.confusion import detection_confusion
from diffaug.evaluation.detection import ClassMatches, average_precision, coco_evaluation, collect, resample_precision
from diffaug.evaluation.tables import DET_CONFIDENCE

PRIMARY, AT_50 = "mAP50-95", "mAP50"
_ALL, *_SIZES = dict(zip(Params("bbox").areaRngLbl, Params("bbox").areaRng)).items()  # COCO's: small, medium, large
_RANGES = [area for _, area in (_ALL, *_SIZES)]
_SUSPICIOUS = 0.05  # a detector that was trained for this task scores more


def _of_size(size: str) -> str:
    return f"{PRIMARY}, {size} objects"


def _of_class(name: str) -> str:
    return f"{PRIMARY} of {name}"


def det_lines(truth: Truth) -> list[Line]:
    """The metrics; those of sizes and classes without an object are left out."""
    objects = [[row for row in of_class if not row["iscrowd"]] for of_class in truth.rows]
    lines = [Line(PRIMARY, truth.images), Line(AT_50, truth.images)]
    for size, (least, most) in _SIZES:
        images = {row["image_id"] for of_class in objects for row in of_class if least <= row["area"] <= most}
        lines += [Line(_of_size(size), len(images))] if images else []
    for name, of_class in zip(truth.names, objects):
        images = {row["image_id"] for row in of_class}
        lines += [Line(_of_class(name), len(images), name)] if images else []
    return lines


def measure_detections(truth: Truth, found: Found, weights: np.ndarray, bar: tqdm) -> Measured:
    """Every metric of `det_lines` for one model; `weights` (R, N): how often each resample drew each image. The bar is
    moved by one per class."""
    # (classes, sizes, resamples, IoUs), the first resample is the test set itself; NaN without an object
    whole = np.ones((1, truth.images))
    values: list[list[np.ndarray]] = []
    for category in range(len(truth.names)):
        values.append(
            [
                np.concatenate([average_precision(one, whole), resample_precision(one, weights)])
                for one in _matches(truth, found, category)
            ]
        )
        bar.update()
    every = np.array(values)
    by_class = every.mean(axis=3)
    titles = {PRIMARY: _mean(by_class[:, 0]), AT_50: _mean(every[:, 0, :, 0])}
    titles |= {_of_size(size): _mean(by_class[:, place]) for place, (size, _) in enumerate(_SIZES, 1)}
    titles |= {_of_class(name): one for name, one in zip(truth.names, by_class[:, 0])}
    return Measured(
        {title: float(one[0]) for title, one in titles.items()}, {title: one[1:] for title, one in titles.items()}
    )


def _matches(truth: Truth, found: Found, category: int) -> list[ClassMatches]:
    """The matches of one class among objects of all sizes, then of each size alone."""
    objects, detections = truth.rows[category], found.rows(np.flatnonzero(found.category == category))
    images = sorted({1, *(row["image_id"] for row in (*objects, *detections))})
    evaluation = coco_evaluation(images, [category], objects, detections, areaRng=_RANGES)
    places = [image - 1 for image in images]
    return [
        collect(evaluation.evalImgs[start : start + len(images)], places, truth.images)
        for start in range(0, len(_RANGES) * len(images), len(images))
    ]


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over the classes that have an object, (R,); NaN where none has."""
    number = (~np.isnan(values)).sum(axis=0)
    return np.where(number, np.nansum(values, axis=0) / np.maximum(number, 1), np.nan)


def confusion_of(truth: Truth, models: Sequence[Found]) -> np.ndarray:
    """What the detectors of one side take each object for, over all of them, (C + 1, C + 1)."""
    objects = [row for of_class in truth.rows for row in of_class]
    return np.sum(
        [
            detection_confusion(
                *(objects, found.rows(np.flatnonzero(found.score > DET_CONFIDENCE)), truth.images, len(truth.names))
            )
            for found in models
        ],
        axis=0,
    )


def det_notes(truth: Truth, sides: Sequence[Sequence[Found]], measured: Sequence[Sequence[Measured]]) -> list[str]:
    """What the reader should know about the results of A and B."""
    notes = []
    for side, models, values in zip("AB", sides, measured):
        empty = [truth.images - len(np.unique(found.image)) for found in models]
        if any(empty):
            notes.append(f"{side}: {' and '.join(map(str, empty))} of {truth.images} images have no detection")
        if max(one.points[AT_50] for one in values) < _SUSPICIOUS:
            notes.append(
                f"{side}: {AT_50} is below {100 * _SUSPICIOUS:g}: check that category_id follows the truth "
                "(Ultralytics counts from 1), and that bbox is x, y, width, height in pixels of the original image"
            )
    return notes
