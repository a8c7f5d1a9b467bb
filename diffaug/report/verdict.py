"""The verdict as a table."""

import json
from pathlib import Path
from typing import Any

from diffaug.errors import UserError
from diffaug.statistics import Difference, verdict

METRICS = Path("metrics/metrics.json")
_TITLES = {
    ("cls", "accuracy"): "classifier accuracy",
    ("cls", "macro_f1"): "classifier macro F1",
    ("cls", "ece"): "classifier ECE (lower is better)",
    ("det", "mAP50_95"): "detector mAP50-95",
    ("det", "mAP50"): "detector mAP50",
}


def read_metrics(path: Path = METRICS) -> dict[str, Any]:
    """The content of metrics.json. Raises UserError where it is missing."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run `dvc repro` first") from None


def verdict_table(metrics: dict[str, Any]) -> str:
    """real, merged, difference with its interval and the verdict, one line a metric, in points of 100."""
    rows = [
        (
            "test metric (x 100)",
            "real",
            "merged",
            "difference",
            f"{100 * metrics['confidence']:g} % interval",
            "verdict",
        )
    ]
    for (task, name), title in _TITLES.items():
        if name not in metrics["delta"].get(task, {}):
            continue
        difference = Difference(**metrics["delta"][task][name])
        rows.append(
            (
                title,
                f"{100 * metrics['real'][task][name]:.1f}",
                f"{100 * metrics[task][name]:.1f}",
                f"{100 * difference.mean:+.1f}",
                f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}",
                verdict(name, difference, metrics["seeds"]),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(_align(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths))) for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    sizes = " and ".join(f"{count} {task} images" for task, count in metrics["test_images"].items())
    lines.append("")
    lines.append(
        f"Real test images: {sizes}; {metrics['seeds']} seeds an arm; {metrics['ratio']:g} synthetic per real image."
    )
    lines += [f"Note: {note}." for note in metrics.get("notes", [])]
    return "\n".join(line.rstrip() for line in lines)


def _align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column in (0, 5) else cell.rjust(width)
