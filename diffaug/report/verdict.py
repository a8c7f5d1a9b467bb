"""The verdict as a table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffaug.evaluation.metrics import ALL, CLEAN, METRICS
from diffaug.evaluation.statistics import Difference, holm, verdict
from diffaug.evaluation.tables import METRICS_FILE
from diffaug.report.style import p_value
from diffaug.runtime.errors import UserError

_HEADER = ("test metric (x 100)", "real", "merged", "difference", "visible from", "p", "verdict")


def read_metrics(path: Path = METRICS_FILE) -> dict[str, Any]:
    """The content of metrics.json. Raises UserError if it is missing."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run `dvc repro` first") from None


def verdict_rows(metrics: dict[str, Any]) -> dict[tuple[str, str], tuple[str, ...]]:
    """By task and metric: title, real, merged, difference, interval, visible from, p and verdict, in points of 100."""
    shown = [one for one in METRICS if one.title and one.name in metrics["delta"].get(one.task, {})]
    found = {one: Difference(**metrics["delta"][one.task][one.name]) for one in shown}
    corrected = holm({one: difference.p for one, difference in found.items()})
    return {
        (one.task, one.name): (
            one.title,
            f"{100 * metrics['real'][one.task][one.name]:.1f}",
            f"{100 * metrics[one.task][one.name]:.1f}",
            f"{100 * difference.mean:+.1f}",
            f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}",
            f"{100 * difference.detectable:.1f}",
            p_value(corrected[one]),
            verdict(difference, corrected[one], metrics["confidence"], metrics["seeds"], one.lower_is_better),
        )
        for one, difference in found.items()
    }


def verdict_header(metrics: dict[str, Any]) -> tuple[str, ...]:
    """The header above `verdict_rows`."""
    return (*_HEADER[:4], f"{100 * metrics['confidence']:g} % interval", *_HEADER[4:])


def verdict_table(metrics: dict[str, Any]) -> str:
    """The rows as text, and below them the numbers of images."""
    rows = [verdict_header(metrics), *verdict_rows(metrics).values()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(_align(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths))) for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    sizes = " and ".join(f"{count} {task} images" for task, count in metrics["test_images"].items())
    lines.append("")
    recipes = metrics["recipe"]
    added = ", ".join(f"{count} images ({recipes[task]}) to {task}" for task, count in metrics["added"].items())
    lines.append(f"Real test images: {sizes}; {metrics['seeds']} seeds per arm. Merged adds {added}.")
    lines += corrupted_note(metrics, list(metrics["test_images"]))
    lines += [f"Note: {note}." for note in metrics.get("notes", [])]
    return "\n".join(line.rstrip() for line in lines)


def corrupted_note(metrics: dict[str, Any], tasks: Sequence[str]) -> list[str]:
    """The images and corruptions behind the corrupted lines of these tasks, if any."""
    found = {task: one for task, one in metrics.get("robustness", {}).items() if task in tasks}
    if not found:
        return []
    sizes = " and ".join(f"{one['images']} {task}" for task, one in found.items())
    names = [name for name in next(iter(found.values()))["corruptions"] if name not in (CLEAN, ALL)]
    return [f"Corrupted: {sizes} images of these under {', '.join(names)}, averaged over severities."]


def _align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column in (0, 7) else cell.rjust(width)
