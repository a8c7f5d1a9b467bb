"""The verdict as a table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffaug.evaluation.metrics import ALL, CLEAN
from diffaug.evaluation.tables import DETAILS_FILE
from diffaug.evaluation.verdicts import TOO_WEAK, added, judge, primary
from diffaug.report.style import about, p_value
from diffaug.runtime.errors import UserError

_HEADER = ("test metric (x 100)", "real", "merged", "difference", "visible from", "p", "verdict")
_VERBS = {
    "no difference": "made no difference that this test can detect",
    "needs 2 seeds": "get no verdict from one seed",
}

TESTED = (
    "The first line of each task is its primary metric; p is corrected for the number of tasks. The lines below are "
    "tested in their order, each only if all before it showed a difference."
)


def read_details(path: Path = DETAILS_FILE) -> dict[str, Any]:
    """The content of details.json. Raises UserError if it is missing, or is not what `evaluate` writes."""
    try:
        details = json.loads(path.read_text(encoding="utf-8"))
        verdict_table(details)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run `dvc repro` first, in the folder of the project") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{path}: not what `evaluate` writes ({reason}); run `dvc repro`") from None
    return details


def sentence(task: str, details: dict[str, Any]) -> str:
    """The verdict on the task's primary metric in words."""
    one = judge(details)[task, primary(details, task).name]
    title, recipe = one.metric.title, details["recipe"][task]
    what = "synthetic images" if recipe == "synthetic" else f"images (recipe {recipe})"
    mean, low, high = (f"{100 * getattr(one.difference, key):+.1f}" for key in ("mean", "low", "high"))
    if one.verdict == TOO_WEAK:
        said = f"{title[0].upper()}{title[1:]}: too weak to say whether it helped: {details['weak'][task]}. Measured:"
        said += f" {mean} points"
    else:
        verb = _VERBS.get(one.verdict, one.verdict)
        said = f"{title[0].upper()}{title[1:]}: {added(details, task)} {what} {verb}: {mean} points"
    return (
        f"{said}, {100 * details['confidence']:g} % interval {low} to {high}, on {details['test_images'][task]} real "
        f"test images with {seeds(details)} per arm."
    )


def verdict_rows(details: dict[str, Any]) -> dict[tuple[str, str], tuple[str, ...]]:
    """By task and metric: title, real, merged, difference, interval, visible from, p and verdict, in points of 100."""
    return {
        (task, name): (
            one.metric.title,
            f"{100 * details['real'][task][name]:.1f}",
            f"{100 * details[task][name]:.1f}",
            f"{100 * one.difference.mean:+.1f}",
            f"{100 * one.difference.low:+.1f} to {100 * one.difference.high:+.1f}",
            about(100 * one.difference.visible_from(one.level)) if one.metric.tested else "-",
            "-" if one.p is None else p_value(one.p),
            one.verdict,
        )
        for (task, name), one in judge(details).items()
    }


def verdict_header(details: dict[str, Any]) -> tuple[str, ...]:
    """The header above `verdict_rows`."""
    return (*_HEADER[:4], f"{100 * details['confidence']:g} % interval", *_HEADER[4:])


def verdict_table(details: dict[str, Any]) -> str:
    """The verdict in words, the rows as text, and below them the numbers of images."""
    rows = [verdict_header(details), *verdict_rows(details).values()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(_align(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths))) for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines = [*(sentence(task, details) for task in details["test_images"]), "", *lines]
    sizes = " and ".join(f"{count} {task} images" for task, count in details["test_images"].items())
    lines.append("")
    recipes = details["recipe"]
    what = ", ".join(f"{added(details, task)} images ({recipes[task]}) to {task}" for task in details["added"])
    lines.append(f"Real test images: {sizes}; {seeds(details)} per arm. Merged adds {what}.")
    lines += floor_note(details, list(details["test_images"]))
    lines += corrupted_note(details, list(details["test_images"]))
    lines += [f"Note: {note}." for note in details.get("notes", [])]
    return "\n".join(line.rstrip() for line in lines)


def scope(details: dict[str, Any]) -> str:
    """What the interval is for, and what it leaves out."""
    if details["draws"] == "own":
        return (
            "The interval is for other test images, other training seeds, and other draws of the synthetic images; not "
            "for another training of the generator, nor for other real training images."
        )
    return (
        "The interval is for other test images and other training seeds; not for another draw of the synthetic images, "
        "another training of the generator, or other real training images."
    )


def seeds(details: dict[str, Any]) -> str:
    """Their number, in words."""
    return "1 seed" if details["seeds"] == 1 else f"{details['seeds']} seeds"


def floor_note(details: dict[str, Any], tasks: Sequence[str]) -> list[str]:
    """What a classifier reaches that has learned nothing."""
    return [
        f"Always answering the most frequent class is right in {100 * details['majority'][task]:.1f} % of the {task} "
        "test images."
        for task in tasks
        if task in details["majority"]
    ]


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
