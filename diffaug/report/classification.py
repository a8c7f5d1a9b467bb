"""The classifier's tables: confusion, classes, changed sides, reliability."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from diffaug.dataset.records import ImageSet
from diffaug.evaluation.classification import ClsPredictions, per_class_accuracy, reliability
from diffaug.evaluation.comparison import ARMS
from diffaug.evaluation.statistics import changed_sides
from diffaug.report.tables import per_class, write_csv
from diffaug.report.task import CHANGED, RELIABILITY


def write_classification(
    plots: Path, runs: Mapping[str, Sequence[ClsPredictions]], test: ImageSet, seeds: Sequence[int]
) -> None:
    """Write what the classifiers of both arms, one for each seed, did image by image, class by class, bin by bin."""
    for arm in ARMS:
        confusion = [
            [test.names[int(label)], test.names[int(predicted)]]
            for run in runs[arm]
            for label, predicted in zip(run.labels, run.predicted)
        ]
        write_csv(plots / f"cls_confusion_{arm}.csv", ["actual", "predicted"], confusion)
    by_class = {arm: [per_class_accuracy(run).tolist() for run in runs[arm]] for arm in ARMS}
    write_csv(plots / "cls_per_class_accuracy.csv", ["class", *ARMS], per_class(test.names, by_class))
    sides = [
        {"seed": seed, **asdict(changed_sides(first.hits, second.hits))}
        for seed, first, second in zip(seeds, runs["real"], runs["merged"])
    ]
    write_csv(plots / "cls_changed_sides.csv", list(sides[0]), [list(row.values()) for row in sides])
    header = ["id", *(f"{arm}_{what}" for arm in ARMS for what in ("right", "seen"))]
    write_csv(plots / CHANGED, header, _images(runs, test))
    reliable = [[arm, *row] for arm in ARMS for row in reliability(runs[arm])]
    write_csv(plots / RELIABILITY, ["arm", "confidence", "accuracy", "share"], reliable)


def _images(runs: Mapping[str, Sequence[ClsPredictions]], test: ImageSet) -> list[list[object]]:
    """For every test image and arm, how many seeds' models are right, and the class that most of them see."""
    columns: list[Sequence[object]] = [[record.id for record in test]]
    for arm in ARMS:
        seen = torch.stack([run.predicted for run in runs[arm]]).mode(dim=0).values
        columns += [
            np.sum([run.hits for run in runs[arm]], axis=0).tolist(),
            [test.names[label] for label in seen.tolist()],
        ]
    return [list(row) for row in zip(*columns)]
