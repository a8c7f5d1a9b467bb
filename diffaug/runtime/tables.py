"""Writing and reading CSV tables."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from diffaug.runtime.files import atomic_path


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table, completely or not at all; floats with six significant digits."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row])


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table by column, as text."""
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))
