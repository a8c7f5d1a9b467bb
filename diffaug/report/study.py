"""The study as tables and a plot: the difference of every entry to its control, and of the first one to the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np

from diffaug.evaluation.metrics import ARMS, TASKS, Metric
from diffaug.evaluation.statistics import Difference, holm, paired_difference, verdict
from diffaug.evaluation.tables import WHOLE
from diffaug.evaluation.verdicts import TOO_WEAK, added, primary
from diffaug.report.figures import plot_intervals, write_png
from diffaug.report.style import p_value
from diffaug.runtime.errors import UserError
from diffaug.runtime.tables import write_table

CHECKS = (
    "shuffled_labels",
)  # recipes that must hurt: they test the comparison, not an idea, so no p is corrected for them
_HEADER = ("task", "entry", "added", "real", "arm", "difference", "low", "high", "p", "verdict")


@dataclass(frozen=True)
class Result:
    """One entry: its name, the content of details.json, and by task the rows of its table of resampled values."""

    name: str
    details: dict[str, Any]
    resampled: Mapping[str, Sequence[Mapping[str, str]]]


@dataclass(frozen=True)
class Row:
    """The primary metric of one entry and task: the means of the arms and the difference, 0-1; p is corrected for all
    entries of the task."""

    task: str
    metric: Metric
    name: str
    added: str
    real: float
    arm: float
    difference: Difference
    p: float
    verdict: str


def study_rows(results: Sequence[Result]) -> list[Row]:
    """An entry that changes nothing in a task, since its recipe had nothing to add, has no row for it."""
    rows = []
    for task in TASKS:
        mine = [one for one in results if one.details["recipe"].get(task, "nothing") != "nothing"]
        found = {one.name: Difference(**_delta(one, task)) for one in mine}
        corrected = holm({one.name: found[one.name].p for one in mine if one.details["recipe"][task] not in CHECKS})
        for one in mine:
            details, metric, difference = one.details, primary(one.details, task), found[one.name]
            p = corrected.get(one.name, difference.p)
            said = verdict(difference, p, details["confidence"], details["seeds"], metric.lower_is_better)
            said = TOO_WEAK if task in details["weak"] else said
            real, arm = details["real"][task][metric.name], details[task][metric.name]
            rows.append(Row(task, metric, one.name, added(details, task), real, arm, difference, p, said))
    return rows


def _delta(one: Result, task: str) -> dict[str, Any]:
    delta: dict[str, Any] = one.details["delta"][task][primary(one.details, task).name]
    return delta


def first_against_others(results: Sequence[Result]) -> list[tuple[str, str, Difference]]:
    """Task, the other entry's name, and the first entry minus the other, for all others that have the same control."""
    found = []
    for task in TASKS:
        mine = [one for one in results if one.details["recipe"].get(task, "nothing") != "nothing"]
        for other in mine[1:]:
            if _values(mine[0], task, "real") == _values(other, task, "real"):
                pairs = list(zip(_values(other, task, "merged"), _values(mine[0], task, "merged")))
                points = [(float(second[0]), float(first[0])) for second, first in pairs]
                resampled = [(np.array(second[1:]), np.array(first[1:])) for second, first in pairs]
                difference = paired_difference(points, resampled, mine[0].details["confidence"])
                found.append((task, other.name, difference))
    return found


def _values(one: Result, task: str, arm: str) -> list[list[float]]:
    """By seed, the primary metric on the whole test set, then on every resample."""
    rows = sorted(one.resampled[task], key=lambda row: -1 if row["sample"] == WHOLE else int(row["sample"]))
    columns = [name for name in rows[0] if name.partition("-")[0] == arm and arm in ARMS]
    return [[float(row[name]) for row in rows] for name in columns]


def study_text(results: Sequence[Result]) -> str:
    """Both tables in points of 100, as Markdown."""
    lines = [
        "| metric | entry | added | control | with it | difference | interval | p | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.metric.title} | {row.name} | {row.added} | {100 * row.real:.1f} | {100 * row.arm:.1f} | "
        f"{_interval(row.difference)} | {p_value(row.p)} | {row.verdict} |"
        for row in study_rows(results)
    ]
    others = first_against_others(results)
    if others:
        lines += ["", f"| task | {results[0].name} minus | difference | interval |", "|---|---|---|---|"]
        lines += [f"| {task} | {name} | {_interval(difference)} |" for task, name, difference in others]
    return "\n".join(lines)


def _interval(difference: Difference) -> str:
    low, high = 100 * difference.low, 100 * difference.high
    return f"{100 * difference.mean:+.1f} | {low:+.1f} to {high:+.1f}"


def write_study(results: Sequence[Result], table: Path, plot: Path) -> None:
    """Write the rows as CSV and the intervals as a PNG. Raises UserError if there is no row."""
    rows = study_rows(results)
    cells = [
        [
            *(row.task, row.name, row.added, row.real, row.arm),
            *(row.difference.mean, row.difference.low, row.difference.high, row.p, row.verdict),
        ]
        for row in rows
    ]
    table.parent.mkdir(parents=True, exist_ok=True)
    write_table(table, _HEADER, cells)
    tasks = [task for task in TASKS if any(row.task == task for row in rows)]
    if not tasks:
        raise UserError("study: no entry had anything to add, so there is no difference to show; give others in study")
    height = 0.8 + 0.36 * max(sum(row.task == task for row in rows) for task in tasks)
    figure = matplotlib.figure.Figure(figsize=(5.6 * len(tasks), height), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks):
        mine = [row for row in rows if row.task == task]
        plot_intervals(axes, [_bar(row) for row in mine])
        axes.set_title(f"{mine[0].metric.title}: difference to the control, points", fontsize=10)
    write_png(figure, plot)


def _bar(row: Row) -> tuple[str, float, float, float, str]:
    low, mean, high = (100 * end for end in (row.difference.low, row.difference.mean, row.difference.high))
    return row.name, low, mean, high, row.verdict
