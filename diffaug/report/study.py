"""The study as a table and a plot: every recipe's difference to the control, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np

from diffaug.commands.study import Run
from diffaug.evaluation.statistics import Difference, holm, verdict
from diffaug.report.tables import write_csv
from diffaug.runtime.files import atomic_path

HEADLINE = {"cls": "accuracy", "det": "mAP50_95"}
_TITLES = {"cls": "classifier accuracy", "det": "detector mAP50-95"}
_HEADER = ("task", "recipe", "ratio", "added", "real", "arm", "difference", "low", "high", "p", "verdict")
_COLORS = {"helped": "#2a7f3e", "hurt": "#b3261e"}


@dataclass(frozen=True)
class Row:
    """One recipe's answer for one task: the arms' means and the difference, 0-1; p is corrected for the whole table."""

    task: str
    run: Run
    added: int
    real: float
    arm: float
    difference: Difference
    p: float
    verdict: str


def study_rows(results: Sequence[tuple[Run, dict[str, Any]]]) -> list[Row]:
    """The headline metric of every task and run. A run whose recipe had nothing to add to a task has no row there."""
    found: dict[tuple[str, Run], Difference] = {}
    metrics = dict(results)
    for run, values in results:
        for task, name in HEADLINE.items():
            if name in values["delta"].get(task, {}) and values["recipe"].get(task) == run.recipe:
                found[task, run] = Difference(**values["delta"][task][name])
    corrected = holm({key: difference.p for key, difference in found.items()})
    rows = []
    for task, name in HEADLINE.items():
        for run in metrics:
            if (task, run) in found:
                values, difference, p = metrics[run], found[task, run], corrected[task, run]
                said = verdict(name, difference, p, values["confidence"], values["seeds"])
                added = values["added"][task]
                rows.append(Row(task, run, added, values["real"][task][name], values[task][name], difference, p, said))
    return rows


def study_table(rows: Sequence[Row]) -> str:
    """The rows in points of 100, as Markdown."""
    lines = [
        "| | recipe | ratio | added | control | with it | difference | interval | p | verdict |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        difference = row.difference
        p = f"{row.p:.3f}" if row.p >= 0.0005 else "< 0.001"
        lines.append(
            f"| {_TITLES[row.task]} | {row.run.recipe} | {row.run.ratio:g} | {row.added} | {100 * row.real:.1f} | "
            f"{100 * row.arm:.1f} | {100 * difference.mean:+.1f} | {100 * difference.low:+.1f} to "
            f"{100 * difference.high:+.1f} | {p} | {row.verdict} |"
        )
    return "\n".join(lines)


def worth(rows: Sequence[Row], task: str) -> str | None:
    """How many further real images would have done what the synthetic ones did, from the lower to the upper end of
    their interval, by the curve of `real_more`, straight between its points; at most how many, where they made no
    visible difference; None where either was not run, where the synthetic ones hurt, or without a verdict."""
    mine = [row for row in rows if row.task == task]
    curve = sorted((row.added, row.difference.mean) for row in mine if row.run.recipe == "real_more")
    synthetic = [row for row in mine if row.run.recipe == "synthetic"]
    if not curve or not synthetic:
        return None
    most = max(synthetic, key=lambda row: row.added)
    if most.verdict not in ("helped", "no difference"):
        return None
    numbers = [0.0, *(float(number) for number, _ in curve)]
    # A curve of means wobbles; more real images are taken to help no less than fewer.
    gains = np.maximum.accumulate([0.0, *(gain for _, gain in curve)])
    low, high = (_number(gain, numbers, gains) for gain in (most.difference.low, most.difference.high))
    what = f"{_TITLES[task]}: {most.added} synthetic images"
    if most.verdict == "helped":
        return f"{what} did what {low} to {high} further real ones did"
    return f"{what} made no visible difference; at most they did what {high} further real ones did"


def _number(gain: float, numbers: Sequence[float], gains: np.ndarray) -> str:
    if gain > gains[-1]:
        return f"more than {numbers[-1]:.0f}"
    return f"{np.interp(max(gain, 0.0), gains, numbers):.0f}"


def write_study(rows: Sequence[Row], table: Path, plot: Path) -> None:
    """Write the rows as CSV and the intervals as a PNG."""
    cells = [
        [
            *(row.task, row.run.recipe, row.run.ratio, row.added, row.real, row.arm),
            *(row.difference.mean, row.difference.low, row.difference.high, row.p, row.verdict),
        ]
        for row in rows
    ]
    table.parent.mkdir(parents=True, exist_ok=True)
    write_csv(table, _HEADER, cells)
    tasks = [task for task in HEADLINE if any(row.task == task for row in rows)]
    height = 0.8 + 0.36 * max(sum(row.task == task for row in rows) for task in tasks)
    figure = matplotlib.figure.Figure(figsize=(5.6 * len(tasks), height), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks):
        _draw(axes, [row for row in rows if row.task == task])
        axes.set_title(f"{_TITLES[task]}: difference to the control, points", fontsize=10)
    with atomic_path(plot) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def _draw(axes: Any, rows: Sequence[Row]) -> None:
    for place, row in enumerate(reversed(rows)):
        color = _COLORS.get(row.verdict, "#555555")
        low, mean, high = (100 * value for value in (row.difference.low, row.difference.mean, row.difference.high))
        axes.plot([low, high], [place, place], color=color, linewidth=2)
        axes.plot([mean], [place], "o", color=color)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{row.run.recipe}, {row.run.ratio:g}" for row in reversed(rows)])
    axes.grid(axis="x", alpha=0.3)
