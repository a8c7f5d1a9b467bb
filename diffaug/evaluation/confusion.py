"""Which class a detector takes for which, and what it misses or invents."""

from collections.abc import Mapping, Sequence

import numpy as np

from diffaug.evaluation.detection import DetPredictions, Rows, coco_evaluation, found_rows, truth_rows
from diffaug.evaluation.tables import DET_CONFIDENCE, DET_IOU, with_background, write_confusion


def detection_confusion(truth: Rows, found: Rows, images: int, classes: int) -> np.ndarray:
    """How many objects of each class (rows) were detected as each class (columns), int (C + 1, C + 1).

    The last row counts detections of nothing, the last column objects that were not detected. The surest detection
    comes first and takes the object of any class that it covers best. Crowd regions and detections in them do not
    count. Images and classes are numbered from 1 and from 0.
    """
    sure = [row for row in found if row["score"] > DET_CONFIDENCE]
    evaluation = coco_evaluation(
        *(range(1, images + 1), range(classes), truth, sure),
        useCats=0,
        iouThrs=np.array([DET_IOU]),
        maxDets=[len(sure) + 1],
    )
    actual, predicted = ({row["id"]: row["category_id"] for row in rows} for rows in (truth, sure))
    counts = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for one in filter(None, evaluation.evalImgs):
        for number, matched, ignored in zip(one["dtIds"], one["dtMatches"][0], one["dtIgnore"][0]):
            if not ignored:
                counts[actual[int(matched)] if matched else classes, predicted[number]] += 1
        for number, matched, ignored in zip(one["gtIds"], one["gtMatches"][0], one["gtIgnore"]):
            if not matched and not ignored:
                counts[actual[number], classes] += 1
    return counts


def write_detection(runs: Mapping[str, Sequence[DetPredictions]], names: Sequence[str]) -> None:
    """Write what both arms' detectors, one per seed, take each object for."""
    shown = with_background(names)
    for arm, of_arm in runs.items():
        counts = np.sum(
            [detection_confusion(truth_rows(run), found_rows(run), len(run.records), len(names)) for run in of_arm],
            axis=0,
        )
        pairs = [(actual, predicted) for (actual, predicted), count in np.ndenumerate(counts) for _ in range(count)]
        write_confusion("det", arm, [(shown[actual], shown[predicted]) for actual, predicted in pairs])
