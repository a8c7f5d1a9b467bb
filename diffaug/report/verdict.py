"""The verdict as a table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffaug.evaluation.metrics import ALL, CLEAN
from diffaug.evaluation.tables import DETAILS_FILE
from diffaug.evaluation.verdicts import judge
from diffaug.report.style import p_value
from diffaug.runtime.errors import UserError

_HEADER = ("test metric (x 100)", "real", "merged", "difference", "visible from", "p", "verdict")


def read_details(path: Path = DETAILS_FILE) -> dict[str, Any]:
    """The content of details.json. Raises UserError if it is missing, or is not what `evaluate` writes."""
    try:
        details = json.loads(path.read_text(encoding="utf-8"))
        verdict_table(details)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run `dvc repro` first") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{path}: not what `evaluate` writes ({reason}); run `dvc repro`") from None
    return details


def verdict_rows(details: dict[str, Any]) -> dict[tuple[str, str], tuple[str, ...]]:
    """By task and metric: title, real, merged, difference, interval, visible from, p and verdict, in points of 100."""
    return {
        (task, name): (
            one.metric.title,
            f"{100 * details['real'][task][name]:.1f}",
            f"{100 * details[task][name]:.1f}",
            f"{100 * one.difference.mean:+.1f}",
            f"{100 * one.difference.low:+.1f} to {100 * one.difference.high:+.1f}",
            f"{100 * one.difference.detectable:.1f}",
            p_value(one.p),
            one.verdict,
        )
        for (task, name), one in judge(details).items()
    }


def verdict_header(details: dict[str, Any]) -> tuple[str, ...]:
    """The header above `verdict_rows`."""
    return (*_HEADER[:4], f"{100 * details['confidence']:g} % interval", *_HEADER[4:])


def verdict_table(details: dict[str, Any]) -> str:
    """The rows as text, and below them the numbers of images."""
    rows = [verdict_header(details), *verdict_rows(details).values()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(_align(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths))) for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    sizes = " and ".join(f"{count} {task} images" for task, count in details["test_images"].items())
    lines.append("")
    recipes = details["recipe"]
    added = ", ".join(f"{count} images ({recipes[task]}) to {task}" for task, count in details["added"].items())
    lines.append(f"Real test images: {sizes}; {seeds(details)} per arm. Merged adds {added}.")
    lines += corrupted_note(details, list(details["test_images"]))
    lines += [f"Note: {note}." for note in details.get("notes", [])]
    return "\n".join(line.rstrip() for line in lines)


def seeds(details: dict[str, Any]) -> str:
    """Their number, in words."""
    return "1 seed" if details["seeds"] == 1 else f"{details['seeds']} seeds"


def corrupted_note(details: dict[str, Any], tasks: Sequence[str]) -> list[str]:
    """The images and corruptions behind the corrupted lines of these tasks, if any."""
    found = {task: one for task, one in details.get("robustness", {}).items() if task in tasks}
    if not found:
        return []
    sizes = " and ".join(f"{one['images']} {task}" for task, one in found.items())
    names = [name for name in next(iter(found.values()))["corruptions"] if name not in (CLEAN, ALL)]
    return [f"Corrupted: {sizes} images of these under {', '.join(names)}, averaged over severities."]


def _align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column in (0, 7) else cell.rjust(width)
