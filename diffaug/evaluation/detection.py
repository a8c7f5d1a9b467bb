"""COCO's mean average precision of a detector: by torchmetrics, and under resampling weights from cached matches."""

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchmetrics.detection import MeanAveragePrecision

from diffaug.dataset.records import Record
from diffaug.detector.detections import MAX_DETECTIONS, Detections

_RECALLS = np.linspace(0.0, 1.0, 101)
_AT_ONCE = 4_000_000  # largest number of resamples x detections in memory

Rows = Sequence[dict[str, Any]]  # of COCO files, with their keys; ids and image_id begin with 1


@dataclass(frozen=True)
class DetPredictions:
    """One model's detections on the test images, in their order, and the number of classes."""

    detections: Sequence[Detections]
    records: Sequence[Record]
    classes: int


@dataclass(frozen=True)
class ClassMatches:
    """One class's detections on all images, by falling score: `image` (D,), `hit` bool (10, D) at IoU 0.50 to 0.95;
    `objects` (N,): the number of objects of the class per image; `ignored` bool (10, D): neither hit nor false alarm,
    as in a crowd region; None: none is."""

    image: np.ndarray
    hit: np.ndarray
    objects: np.ndarray
    ignored: np.ndarray | None = None


def score_detection(run: DetPredictions) -> tuple[dict[str, float], np.ndarray]:
    """mAP50_95 and mAP50 in 0-1, and the mAP50-95 of each class (C,), NaN if a class has no test object."""
    metric = MeanAveragePrecision(
        box_format="xyxy",
        class_metrics=True,
        max_detection_thresholds=[1, 10, MAX_DETECTIONS],
        rec_thresholds=_RECALLS.tolist(),
    )
    for found, record in zip(run.detections, run.records):
        boxes = torch.tensor(record.bbox, dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        metric.update(
            [
                {
                    "boxes": torch.from_numpy(found.boxes).reshape(-1, 4),
                    "scores": torch.from_numpy(found.scores),
                    "labels": torch.from_numpy(found.labels),
                }
            ],
            [{"boxes": boxes, "labels": torch.tensor(record.category, dtype=torch.int64)}],
        )
    result = metric.compute()
    by_class = np.full(run.classes, np.nan)
    seen = np.atleast_1d(result["classes"].numpy())
    values = np.atleast_1d(result["map_per_class"].numpy())
    by_class[seen] = np.where(values < 0, np.nan, values)
    return {"mAP50_95": float(result["map"]), "mAP50": float(result["map_50"])}, by_class


def match(run: DetPredictions) -> list[ClassMatches]:
    """Which detections hit which objects, by pycocotools; resampling uses this without matching again."""
    count = len(run.records)
    evaluation = coco_evaluation(range(1, count + 1), range(run.classes), truth_rows(run), found_rows(run))
    found = [evaluation.evalImgs[number * count : (number + 1) * count] for number in range(run.classes)]
    return [collect(of_class, range(count), count) for of_class in found]


def coco_evaluation(
    images: Sequence[int], categories: Sequence[int], truth: Rows, found: Rows, **params: Any
) -> COCOeval:
    """The matches of pycocotools between two lists of annotations: of objects of all sizes and the 100 best detections
    of each image and class, unless `params` of COCOeval say otherwise."""
    sides = COCO(), COCO()
    with contextlib.redirect_stdout(io.StringIO()):
        for coco, rows in zip(sides, (truth, found)):
            coco.dataset = {
                "images": [{"id": image} for image in images],
                "categories": [{"id": category} for category in categories],
                "annotations": rows,
            }
            coco.createIndex()
        evaluation = COCOeval(*sides, "bbox")
        chosen = {"areaRng": [[0, 1e10]], "areaRngLbl": ["all"], "maxDets": [MAX_DETECTIONS], **params}
        for name, value in chosen.items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
    return evaluation


def truth_rows(run: DetPredictions) -> list[dict[str, Any]]:
    """The objects of the test images as rows of a COCO file."""
    pairs = [
        (index + 1, box, category)
        for index, record in enumerate(run.records)
        for box, category in zip(record.bbox, record.category)
    ]
    return [
        {
            "id": number,
            "image_id": image,
            "bbox": list(box),
            "category_id": category,
            "area": box[2] * box[3],
            "iscrowd": 0,
        }
        for number, (image, box, category) in enumerate(pairs, 1)
    ]


def found_rows(run: DetPredictions) -> list[dict[str, Any]]:
    """The detections as rows of a COCO file."""
    rows: list[dict[str, Any]] = []
    for index, found in enumerate(run.detections):
        for (x1, y1, x2, y2), score, label in zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist()):
            box = [x1, y1, x2 - x1, y2 - y1]
            rows.append({"id": len(rows) + 1, "image_id": index + 1, "bbox": box, "score": score, "category_id": label})
            rows[-1]["area"] = box[2] * box[3]
    return rows


def collect(results: Sequence[dict[str, Any] | None], places: Sequence[int], images: int) -> ClassMatches:
    """The matches of one class from what COCOeval says about the images at these places, of so many `images`."""
    shown = [(place, one) for place, one in zip(places, results) if one]
    objects = np.zeros(images, dtype=np.int64)
    for place, one in shown:
        objects[place] = np.count_nonzero(np.asarray(one["gtIgnore"]) == 0)
    image = np.repeat([place for place, _ in shown], [len(one["dtScores"]) for _, one in shown])
    scores = np.concatenate([np.zeros(0), *(one["dtScores"] for _, one in shown)])
    none = np.zeros((10, 0), dtype=bool)
    ignored = np.concatenate([none, *(one["dtIgnore"] for _, one in shown)], axis=1)
    hits = np.concatenate([none, *(one["dtMatches"] > 0 for _, one in shown)], axis=1) & ~ignored
    order = np.argsort(-scores, kind="mergesort")
    order = order[~ignored[:, order].all(axis=0)]
    some = ignored[:, order] if ignored[:, order].any() else None
    return ClassMatches(image[order].astype(np.int64), hits[:, order], objects, some)


def resample_detection(matches: Sequence[ClassMatches], weights: np.ndarray) -> dict[str, np.ndarray]:
    """mAP50_95 and mAP50 for every resample, (R,) each; `weights` (R, N): how often each resample drew each image."""
    values = np.stack([resample_precision(one, weights) for one in matches], axis=1)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # a resample without any object: NaN
        return {"mAP50_95": np.nanmean(values, axis=(1, 2)), "mAP50": np.nanmean(values[:, :, 0], axis=1)}


def resample_precision(matches: ClassMatches, weights: np.ndarray) -> np.ndarray:
    """`average_precision` (R, 10), in as many parts as the memory asks for."""
    parts = np.array_split(weights, -(-len(weights) * len(matches.image) // _AT_ONCE) or 1)
    return np.concatenate([average_precision(matches, part) for part in parts])


def average_precision(matches: ClassMatches, weights: np.ndarray) -> np.ndarray:
    """COCO's 101-point average precision at the ten IoUs (R, 10), every image counted `weights` (R, N) times; NaN
    without an object."""
    objects = weights @ matches.objects
    # Recall rises, and precision has its maxima, only at hits: the many misses between them only enter the counts.
    ignored = matches.ignored
    places = np.flatnonzero((matches.hit if ignored is None else matches.hit | ignored).any(axis=0))
    drawn = np.cumsum(weights[:, matches.image], axis=1)[:, places]
    ours = weights[:, matches.image[places]]
    values = np.zeros((len(weights), len(matches.hit)))
    for column, hit in enumerate(matches.hit[:, places]):
        hits = np.cumsum(ours * hit, axis=1)
        counted = drawn if ignored is None else drawn - np.cumsum(ours * ignored[column, places], axis=1)
        precision = hits / np.maximum(counted, np.spacing(1))
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = hits / np.maximum(objects, 1)[:, None]
        # The number of the 101 recalls that each hit is the first to reach; the first hit or miss reaches recall 0.
        reached = np.searchsorted(_RECALLS, recall, side="right")
        values[:, column] = (envelope * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(_RECALLS)
    values[objects == 0] = np.nan
    return values
