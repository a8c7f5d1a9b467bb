"""Writing and reading CSV tables."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

# A spreadsheet computes a cell that begins so, some also in full width, and a formula may run programs.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table, completely or not at all; floats with six significant digits. Text that a spreadsheet would take
    for a formula, such as a class named =1+1, gets an apostrophe in front, which `read_table` removes."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow([_cell(cell) for cell in row])


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table by column, as text. Raises UserError if it is no table, or a row has more or fewer cells."""
    try:
        return parse_table(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a table ({error}); run `dvc repro`") from None


def parse_table(text: str, path: str = "table") -> list[dict[str, str]]:
    """The same of the content of the file `path`."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        rows = list(reader)
    except csv.Error as error:
        raise UserError(f"{path}: not a table ({error}); run `dvc repro`") from None
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise UserError(f"{path}: line {number} has not the {len(reader.fieldnames or [])} cells of the head")
    return [{name: cell[cell.startswith("'") :] for name, cell in row.items()} for row in rows]


def _cell(cell: object) -> object:
    if isinstance(cell, float):
        return f"{cell:.6g}"
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip().startswith(_FORMULA) else cell
