"""A grid of settings on val, as a table and a plot: the merged arm, and its gain over the control with an interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.figure
import numpy as np

from diffaug.evaluation.metrics import TASKS
from diffaug.evaluation.statistics import Difference, paired_difference
from diffaug.report.figures import plot_intervals, write_png
from diffaug.runtime.tables import write_table


@dataclass(frozen=True)
class Point:
    """One setting: its name, the mean of the merged arm's models on real val, 0-1, and the gain over the control, whose
    interval is for other seeds alone."""

    name: str
    merged: float
    gain: Difference


def point(assignments: Sequence[str], scores: Mapping[str, Sequence[float]], confidence: float) -> Point:
    """scores: by arm, each seed's best value on val, 0-1."""
    pairs = list(zip(scores["real"], scores["merged"]))
    gain = paired_difference(pairs, [(np.full(2, real), np.full(2, merged)) for real, merged in pairs], confidence)
    return Point(", ".join(assignments), float(np.mean(scores["merged"])), gain)


def best(points: Sequence[Point]) -> Point:
    """The setting with the best merged arm; among equal ones the first."""
    return max(points, key=lambda one: one.merged)


def tuning_table(points: Sequence[Point], task: str) -> str:
    """In points of 100, as Markdown."""
    lines = [f"| setting | {TASKS[task].val_title} | gain over the control | interval |", "|---|---|---|---|"]
    for one in points:
        low, high = 100 * one.gain.low, 100 * one.gain.high
        lines.append(
            f"| {one.name} | {100 * one.merged:.1f} | {100 * one.gain.mean:+.1f} | {low:+.1f} to {high:+.1f} |"
        )
    return "\n".join(lines)


def write_tuning(points: Sequence[Point], task: str, table: Path, plot: Path) -> None:
    """Write the points as CSV, 0-1, and their gains as a PNG: a curve if a single number varies."""
    table.parent.mkdir(parents=True, exist_ok=True)
    rows = [[one.name, one.merged, one.gain.mean, one.gain.low, one.gain.high] for one in points]
    write_table(table, ["setting", "merged", "gain", "low", "high"], rows)
    figure = matplotlib.figure.Figure(figsize=(7, max(3.0, 0.8 + 0.36 * len(points))), layout="constrained")
    axes = figure.subplots()
    label = f"gain in {TASKS[task].val_title}, points"
    numbers = _numbers(points)
    if numbers:
        gains = np.array([[one.gain.mean, one.gain.low, one.gain.high] for one in points])[np.argsort(numbers)] * 100
        axes.fill_between(sorted(numbers), gains[:, 1], gains[:, 2], alpha=0.15, linewidth=0)
        axes.plot(sorted(numbers), gains[:, 0], "o-")
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xlabel(points[0].name.partition("=")[0])
        axes.set_ylabel(label)
    else:
        bars = [(one.name, 100 * one.gain.low, 100 * one.gain.mean, 100 * one.gain.high, "") for one in points]
        plot_intervals(axes, bars)
        axes.set_xlabel(label)
    write_png(figure, plot)


def _numbers(points: Sequence[Point]) -> list[float]:
    """The values of the only setting that varies; empty if there are several, or if they are no numbers."""
    try:
        return [float(one.name.partition("=")[2]) for one in points]
    except ValueError:
        return []
