"""The tables of an evaluation, as CSV files for `dvc plots`, for the report and for people."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from diffaug.dataset.records import ImageSet
from diffaug.evaluation.classification import ClsPredictions, per_class_accuracy, reliability
from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.metrics import ARMS, TASKS
from diffaug.evaluation.statistics import changed_sides
from diffaug.runtime.errors import UserError
from diffaug.runtime.tables import read_table, write_table

METRICS_FILE, DETAILS_FILE = Path("metrics/metrics.json"), Path("metrics/details.json")
TABLES = Path("metrics/tables")
CHANGED, RELIABILITY, CONFUSION = "cls_changed_images.csv", "cls_reliability.csv", "{task}_confusion_{arm}.csv"
RESAMPLED, WHOLE = "{task}_resampled.csv", "all"
DET_CONFIDENCE, DET_IOU = 0.25, 0.5  # of a detector's confusion matrix
DET_MATCHED = f"detections of a confidence above {DET_CONFIDENCE:g}, matched at IoU {DET_IOU:g}"
TRAINING, SEEDS, ROBUSTNESS = "{task}_training.csv", "{task}_seeds.csv", "{task}_robustness.csv"


def write_classification(runs: Mapping[str, Sequence[ClsPredictions]], test: ImageSet, seeds: Sequence[int]) -> None:
    """Write the results of both arms' classifiers, one per seed, by image, by class, and by bin of confidence."""
    for arm in ARMS:
        confusion = [
            [test.names[int(label)], test.names[int(predicted)]]
            for run in runs[arm]
            for label, predicted in zip(run.labels, run.predicted)
        ]
        write_confusion("cls", arm, confusion)
    write_per_class("cls", test.names, {arm: [per_class_accuracy(run).tolist() for run in runs[arm]] for arm in ARMS})
    sides = [
        {"seed": seed, **asdict(changed_sides(first.hits, second.hits))}
        for seed, first, second in zip(seeds, runs["real"], runs["merged"])
    ]
    write_table(TABLES / "cls_changed_sides.csv", list(sides[0]), [list(row.values()) for row in sides])
    header = ["id", *(f"{arm}_{what}" for arm in ARMS for what in ("right", "mistaken_for"))]
    write_table(TABLES / CHANGED, header, _images(runs, test))
    reliable = [[arm, *row] for arm in ARMS for row in reliability(runs[arm])]
    write_table(TABLES / RELIABILITY, ["arm", "confidence", "accuracy", "share"], reliable)


def write_confusion(task: str, arm: str, pairs: Iterable[Sequence[str]]) -> None:
    """Write actual, predicted: one row per object, over all seeds."""
    write_table(TABLES / CONFUSION.format(task=task, arm=arm), ["actual", "predicted"], pairs)


def with_background(names: Sequence[str]) -> tuple[str, ...]:
    """The rows and columns of a detector's confusion matrix: the classes, and at last what is no object."""
    return (*names, "(background)" if "background" in names else "background")


def _images(runs: Mapping[str, Sequence[ClsPredictions]], test: ImageSet) -> list[list[object]]:
    """For every test image and arm: how many seeds' models are right, and the class that most of the others predict;
    empty if there are no others."""
    columns: list[Sequence[object]] = [[record.id for record in test]]
    for arm in ARMS:
        predicted = torch.stack([run.predicted for run in runs[arm]], dim=1).tolist()
        wrong = [
            Counter(label for label in sorted(labels) if label != record.label)
            for labels, record in zip(predicted, test)
        ]
        columns += [
            np.sum([run.hits for run in runs[arm]], axis=0).tolist(),
            [test.names[counts.most_common(1)[0][0]] if counts else "" for counts in wrong],
        ]
    return [list(row) for row in zip(*columns)]


def write_per_class(task: str, names: Sequence[str], values: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Write class, real, merged: the value of each arm, averaged over its seeds; no differences, since they have no
    interval."""
    means = [[sum(column) / len(column) for column in zip(*values[arm])] for arm in ARMS]
    rows = [[name, *row] for name, row in zip(names, zip(*means))]
    write_table(TABLES / TASKS[task].per_class, ["class", *ARMS], rows)


def write_seeds(task: str, measured: Mapping[str, Sequence[Measured]], seeds: Sequence[int]) -> None:
    """Write the metrics of every single model: arm, seed, metrics in 0-1."""
    names = list(measured["real"][0].points)
    rows = [
        [arm, seed, *(one.points[name] for name in names)]
        for arm, of_arm in measured.items()
        for seed, one in zip(seeds, of_arm)
    ]
    write_table(TABLES / SEEDS.format(task=task), ["arm", "seed", *names], rows)


def write_resampled(task: str, measured: Mapping[str, Sequence[Measured]], name: str, seeds: Sequence[int]) -> None:
    """Write one metric of every model, a column ARM-SEED each, in 0-1: on the whole test set ("all") and on every
    resample; with these, runs with the same test images can be compared with each other."""
    models = {f"{arm}-{seed}": one for arm in ARMS for seed, one in zip(seeds, measured[arm])}
    columns = [[one.points[name], *one.resampled[name].tolist()] for one in models.values()]
    rows = [[WHOLE if number == 0 else number - 1, *row] for number, row in enumerate(zip(*columns))]
    write_table(TABLES / RESAMPLED.format(task=task), ["sample", *models], rows)


def last_rise(table: Path) -> dict[str, float]:
    """By arm, how much higher val is on average in the last fifth of a training than in the fifth before it, from a
    table of `write_training`; 0 if there are too few evaluations."""
    rows = read_table(table)
    fifth = len(rows) // 5
    values = {arm: [float(row[arm]) for row in rows] for arm in ARMS}
    return {
        arm: float(np.mean(of_arm[-fifth:]) - np.mean(of_arm[-2 * fifth : -fifth])) if fifth else 0.0
        for arm, of_arm in values.items()
    }


def write_training(task: str, curves_of: Path, seeds: Sequence[int]) -> None:
    """Write step, real, merged: the metric that chooses the checkpoint, from the curve of every model in the folder,
    averaged over seeds."""
    curves: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
    steps: list[int] = []
    for arm in ARMS:
        for seed in seeds:
            file = curves_of / f"{arm}-{seed}.csv"
            try:
                rows = [(int(row["step"]), float(row[TASKS[task].val])) for row in read_table(file)]
            except (KeyError, ValueError) as error:
                raise UserError(f"{file}: not a training curve ({error}); run `dvc repro`") from None
            steps = [step for step, _ in rows]
            curves[arm].append([value for _, value in rows])
    means = [[sum(values) / len(values) for values in zip(*curves[arm])] for arm in ARMS]
    write_table(TABLES / TRAINING.format(task=task), ["step", *ARMS], [list(row) for row in zip(steps, *means)])
