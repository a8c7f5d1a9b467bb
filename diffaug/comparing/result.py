"""The whole comparison: as a text, and as files."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from diffaug.comparing.lines import Compared
from diffaug.report.style import p_value
from diffaug.runtime.files import atomic_path
from diffaug.runtime.tables import write_table
from diffaug.runtime.text import printable

_MOST = 20  # single classes that the text and the plot show
_UNIT = "B minus A, points"
_COLOURS = {"B better": "helped", "A better": "hurt"}


@dataclass(frozen=True)
class Confusion:
    """The names of rows (actual) and columns (predicted), and the counts of A and of B."""

    names: Sequence[str]
    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class Result:
    """Everything that is printed and written. about: what was compared on which images, in a sentence."""

    a: Sequence[Path]
    b: Sequence[Path]
    lines: Sequence[Compared]
    confidence: float
    resamples: int
    seed: int
    about: str
    notes: Sequence[str]
    confusion: Confusion | None = field(default=None, repr=False)


def result_table(result: Result) -> str:
    """The lines in points of 100, and below them what they rest on; of many classes those that differ most."""
    shown = _shown(result.lines)
    interval = f"{100 * result.confidence:g} % interval"
    rows = [
        ("test metric (x 100)", "A", "B", "difference", interval, "visible from", "p", "verdict"),
        *map(_cells, shown),
    ]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, tuple("-" * width for width in widths))
    text = [
        "  ".join(_align(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths))) for row in rows
    ]
    sides = [f"{side}: {', '.join(map(str, files))}." for side, files in (("A", result.a), ("B", result.b))]
    text += ["", *sides, f"The difference is B minus A, on {result.about}."]
    text.append("The verdict is on the first line; the others show where a difference may lie, and prove none.")
    if left := len(result.lines) - len(shown):
        text.append(f"{left} classes are left out, shown are the best and the worst for B; --out writes all of them.")
    text += [f"Note: {note}." for note in result.notes]
    return "\n".join(printable(line).rstrip() for line in text)  # class names come from outside


def _shown(lines: Sequence[Compared]) -> list[Compared]:
    """All lines, but of many classes only the best and the worst for B: of those with an interval, since a class of few
    images easily differs by much."""
    classes = sorted((one for one in lines if one.line.of_class), key=lambda one: -one.difference)
    if len(classes) > _MOST:
        judged = [one for one in classes if one.low is not None]
        classes = judged[: _MOST // 2] + judged[_MOST // 2 :][-_MOST // 2 :]
    return [*(one for one in lines if not one.line.of_class), *classes]


def _cells(one: Compared) -> tuple[str, ...]:
    ends = "-" if one.low is None or one.high is None else f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
    return (
        one.line.title,
        f"{100 * one.a:.1f}",
        f"{100 * one.b:.1f}",
        f"{100 * one.difference:+.1f}",
        ends,
        "-" if one.visible_from is None else f"{100 * one.visible_from:.1f}",
        "-" if one.p is None else p_value(one.p),
        one.verdict or "-",
    )


def _align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column in (0, 7) else cell.rjust(width)


def write_result(result: Result, folder: Path) -> None:
    """Write comparison.json and table.csv (in 0-1), intervals.png and, of detectors, the confusion matrices."""
    from diffaug.report import figures

    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        asdict(one.line) | {name: value for name, value in asdict(one).items() if name != "line"}
        for one in result.lines
    ]
    content = {
        "primary": result.lines[0].line.title,
        "verdict": result.lines[0].verdict,
        **{side: [path.as_posix() for path in files] for side, files in (("a", result.a), ("b", result.b))},
        **{name: getattr(result, name) for name in ("confidence", "resamples", "seed", "about", "notes")},
        "lines": lines,
    }
    with atomic_path(folder / "comparison.json") as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_table(folder / "table.csv", list(lines[0]), [list(one.values()) for one in lines])
    intervals = [
        (one.line.title, 100 * one.low, 100 * one.difference, 100 * one.high, _COLOURS.get(one.verdict or "", ""))
        for one in _shown(result.lines)
        if one.low is not None and one.high is not None
    ]
    if intervals:
        figures.write_intervals(intervals, _UNIT, folder / "intervals.png")
    if result.confusion:
        names = result.confusion.names
        for side, counts in (("a", result.confusion.a), ("b", result.confusion.b)):
            rows = [[name, *row] for name, row in zip(names, counts.tolist())]
            write_table(folder / f"confusion_{side}.csv", ["actual", *(f"predicted {name}" for name in names)], rows)
            figures.write_confusion(counts, side.upper(), names, folder / f"confusion_{side}.png")
