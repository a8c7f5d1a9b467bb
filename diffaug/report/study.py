"""The study as a table and a plot: every recipe's difference to the control, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np

from diffaug.evaluation.metrics import TASKS, headline
from diffaug.evaluation.statistics import Difference, holm, verdict
from diffaug.report.figures import plot_intervals
from diffaug.report.style import p_value
from diffaug.runtime.files import atomic_path
from diffaug.runtime.tables import write_table

_HEADER = ("task", "recipe", "ratio", "added", "real", "arm", "difference", "low", "high", "p", "verdict")


@dataclass(frozen=True)
class Run:
    """One experiment: a recipe at a ratio."""

    recipe: str
    ratio: float


@dataclass(frozen=True)
class Row:
    """The result of one recipe for one task: the means of the arms and the difference, 0-1; p is corrected for the
    whole table."""

    task: str
    run: Run
    added: int
    real: float
    arm: float
    difference: Difference
    p: float
    verdict: str


def study_rows(results: Sequence[tuple[Run, dict[str, Any]]]) -> list[Row]:
    """The headline metric of every task and run. A run whose recipe had nothing to add to a task has no row for it."""
    found: dict[tuple[str, Run], Difference] = {}
    details = dict(results)
    for run, values in results:
        for task in TASKS:
            delta = values["delta"].get(task, {})
            if headline(task).name in delta and values["recipe"].get(task) == run.recipe:
                found[task, run] = Difference(**delta[headline(task).name])
    corrected = holm({key: difference.p for key, difference in found.items()})
    rows = []
    for task, run in sorted(found, key=lambda key: list(TASKS).index(key[0])):
        values, difference, p, metric = details[run], found[task, run], corrected[task, run], headline(task)
        said = verdict(difference, p, values["confidence"], values["seeds"], metric.lower_is_better)
        real, arm = values["real"][task][metric.name], values[task][metric.name]
        rows.append(Row(task, run, values["added"][task], real, arm, difference, p, said))
    return rows


def study_table(rows: Sequence[Row]) -> str:
    """The rows in points of 100, as Markdown."""
    lines = [
        "| | recipe | ratio | added | control | with it | difference | interval | p | verdict |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        difference = row.difference
        lines.append(
            f"| {headline(row.task).title} | {row.run.recipe} | {row.run.ratio:g} | {row.added} | "
            f"{100 * row.real:.1f} | {100 * row.arm:.1f} | {100 * difference.mean:+.1f} | "
            f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f} | {p_value(row.p)} | {row.verdict} |"
        )
    return "\n".join(lines)


def worth(rows: Sequence[Row], task: str) -> str | None:
    """How many extra real images have the same effect as the synthetic ones, for the lower and the upper end of their
    interval, on the curve of `real_more`, linear between its points; only the upper number if they made no visible
    difference. None if either was not run, if the synthetic ones hurt, or without a verdict."""
    mine = [row for row in rows if row.task == task]
    curve = sorted((row.added, row.difference.mean) for row in mine if row.run.recipe == "real_more")
    synthetic = [row for row in mine if row.run.recipe == "synthetic"]
    if not curve or not synthetic:
        return None
    most = max(synthetic, key=lambda row: row.added)
    if most.verdict not in ("helped", "no difference"):
        return None
    numbers = [0.0, *(float(number) for number, _ in curve)]
    # A curve of means is noisy; it is assumed that more real images never help less than fewer.
    gains = np.maximum.accumulate([0.0, *(gain for _, gain in curve)])
    low, high = (_number(gain, numbers, gains) for gain in (most.difference.low, most.difference.high))
    what = f"{headline(task).title}: {most.added} synthetic images"
    if most.verdict == "helped":
        return f"{what} had the effect of {low} to {high} extra real ones"
    return f"{what} made no visible difference; at most they had the effect of {high} extra real ones"


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
    write_table(table, _HEADER, cells)
    tasks = [task for task in TASKS if any(row.task == task for row in rows)]
    height = 0.8 + 0.36 * max(sum(row.task == task for row in rows) for task in tasks)
    figure = matplotlib.figure.Figure(figsize=(5.6 * len(tasks), height), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks):
        plot_intervals(axes, [_interval(row) for row in rows if row.task == task])
        axes.set_title(f"{headline(task).title}: difference to the control, points", fontsize=10)
    with atomic_path(plot) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def _interval(row: Row) -> tuple[str, float, float, float, str]:
    low, mean, high = (100 * value for value in (row.difference.low, row.difference.mean, row.difference.high))
    return f"{row.run.recipe}, {row.run.ratio:g}", low, mean, high, row.verdict
