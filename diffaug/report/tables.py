"""Tables for `dvc plots` and for people: training curves, confusion, numbers per class."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from diffaug.evaluation.comparison import ARMS, Measured
from diffaug.runtime.files import atomic_path


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; numbers with six digits."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row])


def write_seeds(path: Path, measured: Mapping[str, Sequence[Measured]], seeds: Sequence[int]) -> None:
    """Write every model's own numbers: arm, seed, metrics in 0-1."""
    names = list(measured["real"][0].points)
    rows = [
        [arm, seed, *(one.points[name] for name in names)]
        for arm, of_arm in measured.items()
        for seed, one in zip(seeds, of_arm)
    ]
    write_csv(path, ["arm", "seed", *names], rows)


def training_curves(models: Path, seeds: Sequence[int], column: str) -> list[list[object]]:
    """Rows step, real, merged: `column` of every model's history.csv, averaged over the seeds."""
    curves: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
    steps: list[int] = []
    for arm in ARMS:
        for seed in seeds:
            with (models / f"{arm}-{seed}" / "history.csv").open(newline="", encoding="utf-8") as handle:
                rows = list(csv.DictReader(handle))
            steps = [int(row["step"]) for row in rows]
            curves[arm].append([float(row[column]) for row in rows])
    means = [[sum(values) / len(values) for values in zip(*curves[arm])] for arm in ARMS]
    return [list(row) for row in zip(steps, *means)]


def per_class(names: Sequence[str], values: Mapping[str, Sequence[Sequence[float]]]) -> list[list[object]]:
    """Rows class, real, merged: each arm's value averaged over its seeds; no differences, as they have no interval."""
    means = [[sum(column) / len(column) for column in zip(*values[arm])] for arm in ARMS]
    return [[name, *row] for name, row in zip(names, zip(*means))]
