"""The report's figures as SVG, and some as PNG; the same numbers give the same bytes."""

import io
import itertools
import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np

from diffaug.evaluation.metrics import ARMS
from diffaug.pictures.fonts import letter_in_figure
from diffaug.report.style import COLORS, PLAIN
from diffaug.runtime.files import atomic_path
from diffaug.runtime.tables import read_table
from diffaug.scoring.ledger import Entry

_WHOLE, _HALF = 11, 6  # inches: charts that fill the page, and charts that stand side by side
_LABELS = 30  # largest number of classes whose names fit
_NUMBERS = 20  # largest number of classes for which a number fits into each cell
_LONGEST = 24  # characters of a class name that fit
matplotlib.rcParams["text.parse_math"] = False  # a $ in the name of a class is no formula


def intervals(rows: Sequence[tuple[str, float, float, float, str]]) -> str:
    """Differences with their intervals: (title, low, mean, high, verdict) each, in points."""
    return _svg(_intervals(rows, "merged minus real, points"))


def write_intervals(rows: Sequence[tuple[str, float, float, float, str]], unit: str, path: Path) -> None:
    """The same as a PNG; unit: the title of the axis."""
    write_png(_intervals(rows, unit), path)


def _intervals(rows: Sequence[tuple[str, float, float, float, str]], unit: str) -> matplotlib.figure.Figure:
    figure = matplotlib.figure.Figure(figsize=(_WHOLE, 0.8 + 0.4 * len(rows)), layout="constrained")
    axes = figure.subplots()
    plot_intervals(axes, rows)
    axes.set_xlabel(unit)
    return figure


def plot_intervals(axes: Any, rows: Sequence[tuple[str, float, float, float, str]]) -> None:
    """Draw each row as a line from low to high with a dot at the mean, in its verdict's colour; first row on top."""
    for place, (_, low, mean, high, verdict) in enumerate(reversed(rows)):
        color = COLORS.get(verdict, PLAIN)
        axes.plot([low, high], [place, place], color=color, linewidth=2)
        axes.plot([mean], [place], "o", color=color)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [title for title, *_ in reversed(rows)])
    axes.grid(axis="x", alpha=0.3)


def curves(table: Path, value: str) -> str:
    """Both arms' training curves from a CSV of step, real, merged."""
    return _svg(_curves(table, value))


def write_curves(table: Path, value: str, path: Path) -> None:
    """The same as a PNG, which `dvc plots` shows without a network."""
    write_png(_curves(table, value), path)


def losses(table: Path) -> str:
    """The losses of the generator's networks, each on its own axes, from a CSV of network, step, loss."""
    rows = read_table(table)
    names = list(dict.fromkeys(row["network"] for row in rows))
    figure = matplotlib.figure.Figure(figsize=(_WHOLE, 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        own = [row for row in rows if row["network"] == name]
        axes.plot([int(row["step"]) for row in own], [float(row["loss"]) for row in own], color=COLORS["merged"])
        axes.set_title(name)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.grid(alpha=0.3)
    return _svg(figure)


def _curves(table: Path, value: str) -> matplotlib.figure.Figure:
    rows = read_table(table)
    figure = matplotlib.figure.Figure(figsize=(_HALF, 3.4), layout="constrained")
    axes = figure.subplots()
    steps = [float(row["step"]) for row in rows]
    for arm in ARMS:
        axes.plot(steps, [float(row[arm]) for row in rows], "o-", markersize=3, color=COLORS[arm], label=arm)
    axes.set_xlabel("step")
    axes.set_ylabel(value)
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def confusion(tables: Mapping[str, Path], names: Sequence[str]) -> str:
    """For each arm, the share of each actual class (rows) that is predicted as each class (columns), in percent."""
    found = {
        arm: Counter((row["actual"], row["predicted"]) for row in read_table(table)) for arm, table in tables.items()
    }
    counts = {
        arm: np.array([[one[actual, predicted] for predicted in names] for actual in names])
        for arm, one in found.items()
    }
    return _svg(_confusion(counts, names))


def write_confusion(counts: np.ndarray, title: str, names: Sequence[str], path: Path) -> None:
    """The same as a PNG, for one matrix of actual (rows) and predicted (columns) classes."""
    write_png(_confusion({title: counts}, names), path)


def _confusion(counts: Mapping[str, np.ndarray], names: Sequence[str]) -> matplotlib.figure.Figure:
    side = min(9.0, 2 + 0.3 * len(names))
    width = max(_WHOLE, 2.3 * side) * len(counts) / len(ARMS)
    figure = matplotlib.figure.Figure(figsize=(width, side), layout="constrained")
    for axes, (arm, of_arm) in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts.items()):
        shares = of_arm / np.maximum(of_arm.sum(axis=1, keepdims=True), 1)
        shown = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
        axes.set_title(f"{arm}: percent of the actual class")
        axes.set_xlabel("predicted")
        axes.set_ylabel("actual")
        if len(names) <= _NUMBERS:
            for (row, column), share in np.ndenumerate(shares):
                color = "white" if share > 0.5 else "black"
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=color)
        if len(names) <= _LABELS:
            axes.set_xticks(range(len(names)), list(map(_short, names)), rotation=90)
            axes.set_yticks(range(len(names)), list(map(_short, names)))
        figure.colorbar(shown, ax=axes, shrink=0.8)
    return figure


def reliability(table: Path) -> str:
    """Accuracy over confidence, bin by bin, from a CSV of arm, confidence, accuracy, share (the dot's size)."""
    rows = read_table(table)
    figure = matplotlib.figure.Figure(figsize=(_HALF, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    for arm in ARMS:
        columns = [
            [float(row[name]) for row in rows if row["arm"] == arm] for name in ("confidence", "accuracy", "share")
        ]
        axes.plot(columns[0], columns[1], color=COLORS[arm], linewidth=1)
        axes.scatter(columns[0], columns[1], [8 + 300 * share for share in columns[2]], color=COLORS[arm], label=arm)
    axes.set_xlim(0, 1.03)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    axes.legend(markerscale=0.5)
    axes.grid(alpha=0.3)
    return _svg(figure)


def robustness(table: Path, metric: str, clean: str) -> str:
    """Both arms over the severities of each corruption, with their intervals, from a table of `write_curves`.
    Severity 0 is `clean`, the unchanged images."""
    rows = [row for row in read_table(table) if row["metric"] == metric]
    names = list(dict.fromkeys(row["corruption"] for row in rows if row["corruption"] != clean))
    across = min(5, len(names))
    down = -(-len(names) // across)
    figure = matplotlib.figure.Figure(figsize=(_WHOLE, 0.6 + 1.9 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharey=True)
    for axes in panels.flat[len(names) :]:
        axes.remove()
    for axes, name in zip(panels.flat, names):
        shown = sorted(
            (row for row in rows if row["corruption"] in (clean, name)), key=lambda row: int(row["severity"])
        )
        severity = [int(row["severity"]) for row in shown]
        for arm in ARMS:
            mean, low, high = ([100 * float(row[arm + end]) for row in shown] for end in ("", "_low", "_high"))
            axes.plot(severity, mean, color=COLORS[arm], label=arm)
            axes.fill_between(severity, low, high, color=COLORS[arm], alpha=0.15, linewidth=0)
        axes.set_title(name, fontsize=9)
        axes.grid(alpha=0.3)
    figure.supxlabel("severity", fontsize=9)
    panels[0, 0].legend(fontsize=8)
    return _svg(figure)


def per_class(table: Path) -> str:
    """Every class's number in both arms, the most improved class on top; with very many classes, as many from either
    end. Differences of single classes have no interval here, so they are not evidence. Classes without a test object
    are left out."""
    rows = [row for row in read_table(table) if not math.isnan(float(row["real"]) + float(row["merged"]))]
    rows.sort(key=lambda row: float(row["merged"]) - float(row["real"]))
    if len(rows) > _LABELS:
        rows = rows[: _LABELS // 2] + rows[-_LABELS // 2 :]
    figure = matplotlib.figure.Figure(figsize=(_HALF, 0.9 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        axes.plot([float(row[arm]) for arm in ARMS], [place, place], color="#cccccc", linewidth=2, zorder=1)
    for arm in ARMS:
        axes.scatter([float(row[arm]) for row in rows], range(len(rows)), color=COLORS[arm], label=arm, zorder=2)
    axes.set_yticks(range(len(rows)), [_short(row["class"]) for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    figure.legend(loc="outside upper center", ncols=len(ARMS))  # not on a dot
    axes.grid(axis="x", alpha=0.3)
    return _svg(figure)


def funnel(entries: Sequence[Entry], used: int | None) -> str:
    """How many synthetic images were made, rejected (by reason), kept and, if the recipe uses them, used by merge."""
    reasons = Counter(entry.reason for entry in entries if entry.reason).most_common()
    kept = len(entries) - sum(count for _, count in reasons)
    left = list(itertools.accumulate([len(entries), *(-count for _, count in reasons)]))
    bars = [("made", 0, len(entries), COLORS["real"])]
    bars += [(reason, after, count, COLORS["hurt"]) for (reason, count), after in zip(reasons, left[1:])]
    bars.append(("kept", 0, kept, COLORS["merged"]))
    if used is not None:
        bars.append(("used", 0, used, COLORS["helped"]))
    figure = matplotlib.figure.Figure(figsize=(_HALF, 0.8 + 0.35 * len(bars)), layout="constrained")
    axes = figure.subplots()
    for place, (_, start, width, color) in enumerate(reversed(bars)):
        axes.barh(place, width, left=start, color=color)
        axes.text(start + width, place, f" {width}", va="center")
    axes.set_yticks(range(len(bars)), [title for title, *_ in reversed(bars)])
    axes.set_xlim(0, 1.1 * max(1, len(entries)))
    return _svg(figure)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def write_png(figure: matplotlib.figure.Figure, path: Path) -> None:
    """The same numbers give the same bytes; Chinese letters also depend on the fonts of the machine."""
    with atomic_path(path) as temporary, warnings.catch_warnings(action="ignore", category=UserWarning):
        letter_in_figure(figure)
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    # By default, ids are random and the file has a date. Text is kept as text: the reader's browser has the letters of
    # every script, while matplotlib's own font has not, and would warn at every 猫.
    with (
        matplotlib.rc_context({"svg.hashsalt": "diffaug", "svg.fonttype": "none", "font.size": 9}),
        warnings.catch_warnings(action="ignore", category=UserWarning),
    ):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]
