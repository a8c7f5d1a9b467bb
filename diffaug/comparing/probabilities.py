"""Tables of class probabilities and of true classes, CSV or Parquet, checked row by row."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as pa_csv

from diffaug.runtime.errors import UserError

IDS, LABEL = ("id", "file", "image", "path"), "label"
_AWAY = 0.01  # from 1: the sum of a thousand probabilities that were rounded to four digits
_BLOCK = 2**24  # bytes that a row may have
_SHOWN = 10  # names in a message


@dataclass(frozen=True)
class Answers:
    """One model's probabilities float64 (N, C) for the images of these ids; `labels`: their true classes, if given."""

    path: Path
    ids: Sequence[str] = field(repr=False)
    names: Sequence[str]
    probabilities: np.ndarray = field(repr=False)
    labels: Sequence[str] | None = field(repr=False)


def read_names(path: Path) -> list[str]:
    """The names of the classes, one a line, in the order of the model's outputs. Raises UserError."""
    names = path.read_text(encoding="utf-8-sig").split("\n")
    names = [name.strip() for name in names[: -1 if names[-1] == "" else None]]
    for number, name in enumerate(names, 1):
        if not name or name in names[: number - 1]:
            raise UserError(f"{path}: line {number}: {name!r}: each line must have a name of its own")
    return names


def read_test(path: Path, names: Sequence[str] | None) -> dict[str, str]:
    """The true class of each id, from a table of its own. Raises UserError."""
    table = _read(path, pa.string())
    if LABEL not in table.column_names:
        raise UserError(f"{path}: has no column {LABEL}, the true class; found {_some(table.column_names)}")
    return dict(zip(_ids(path, table), _labels(path, table, names)))


def read_answers(path: Path, names: Sequence[str] | None) -> Answers:
    """A model's table: a column id (or file, image, path), perhaps label, and a column per class; with `names`, these
    columns are numbers. Raises UserError at the first fault."""
    table = _read(path, pa.float64())
    ids = _ids(path, table)
    key = _id_column(table)
    columns = [name for name in table.column_names if name not in (key, LABEL)]
    if len(columns) < 2:
        raise UserError(
            f"{path}: needs a column of probabilities for each of two classes or more; beside {key} and {LABEL} it has "
            f"{_some(columns) or 'none'}"
        )
    labels = _labels(path, table, names) if LABEL in table.column_names else None
    probabilities = np.stack([_numbers(path, ids, table, name) for name in columns], axis=1)
    if names is not None:
        columns = _named(path, columns, names)
    _refuse_others(path, ids, columns, probabilities)
    return Answers(path, ids, columns, probabilities, labels)


def _read(path: Path, others: pa.DataType) -> pa.Table:
    """The table; `others`: what a CSV has in the columns that are no id and no label."""
    try:
        table = pq.ParquetFile(path).read() if path.suffix.lower() == ".parquet" else _read_csv(path, others)
    except (pa.ArrowException, csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a table ({str(error).splitlines()[0]}); write it again") from None
    _refuse_columns(path, table.column_names)
    if not table.num_rows:
        raise UserError(f"{path}: has no row")
    return table


def _read_csv(path: Path, others: pa.DataType) -> pa.Table:
    with path.open(newline="", encoding="utf-8-sig") as handle:
        columns = next(csv.reader(handle), [])
    _refuse_columns(path, columns)
    types = {name: pa.string() if name in (*IDS, LABEL) else others for name in columns}
    return pa_csv.read_csv(
        path,
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK),  # with threads no error names the row
        convert_options=pa_csv.ConvertOptions(column_types=types),
    )


def _refuse_columns(path: Path, columns: Sequence[str]) -> None:
    twice = [name for name, count in Counter(columns).items() if count > 1 or not name.strip()]
    if twice:
        raise UserError(
            f"{path}: a column is named {twice[0]!r}, which must be a name of its own; with pandas: to_csv(index=False)"
        )
    if not set(IDS) & set(columns):
        raise UserError(
            f"{path}: has no column {', '.join(IDS[:-1])} or {IDS[-1]}, which says the image; found "
            f"{_some(columns) or 'none'}"
        )


def _id_column(table: pa.Table) -> str:
    return next(name for name in IDS if name in table.column_names)


def row_of(path: Path, place: int) -> str:
    """The row of a message: as a spreadsheet shows it, where the head of a CSV is row 1."""
    return f"{path}: row {place + 1 + (path.suffix.lower() == '.csv')}"


def _ids(path: Path, table: pa.Table) -> list[str]:
    column = _id_column(table)
    ids = _texts(path, table, column)
    first: dict[str, int] = {}
    for place, one in enumerate(ids):
        if first.setdefault(one, place) != place:
            raise UserError(f"{row_of(path, place)} has the same {column} {one!r} as another before; keep one of them")
    return ids


def _labels(path: Path, table: pa.Table, names: Sequence[str] | None) -> list[str]:
    """The true classes; numbers become names, if there are names."""
    numbers = {str(number): name for number, name in enumerate(names or [])}
    return [numbers.get(one, one) for one in _texts(path, table, LABEL)]


def _texts(path: Path, table: pa.Table, column: str) -> list[str]:
    texts = table[column].cast(pa.string()).to_pylist()
    for place, one in enumerate(texts):
        if not one:
            raise UserError(f"{row_of(path, place)}: {column} is empty")
    return texts


def _numbers(path: Path, ids: Sequence[str], table: pa.Table, column: str) -> np.ndarray:
    try:
        values = table[column].cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowException, ValueError):
        raise UserError(
            f"{path}: column {column!r} holds no numbers; every column is a class but id and label"
        ) from None
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        place = wrong[0]
        raise UserError(
            f"{row_of(path, place)} ({ids[place]!r}): {column!r} is {values[place]:g}; it must be a number from 0 to 1"
        )
    return values


def _refuse_others(path: Path, ids: Sequence[str], columns: Sequence[str], probabilities: np.ndarray) -> None:
    sums = probabilities.sum(axis=1)
    outside = (probabilities < 0) | (probabilities > 1 + _AWAY)
    wrong = np.flatnonzero(outside.any(axis=1) | (abs(sums - 1) > _AWAY))
    if len(wrong):
        number = wrong[0]
        raise UserError(
            f"{row_of(path, number)} ({ids[number]!r}): the columns {_some(columns)} have values from "
            f"{probabilities[number].min():g} to {probabilities[number].max():g} and the sum {sums[number]:g}; "
            "probabilities are 0 or more and sum to 1: if these are logits, apply softmax first"
        )


def _named(path: Path, columns: Sequence[str], names: Sequence[str]) -> list[str]:
    if sorted(columns) != sorted(map(str, range(len(names)))):
        raise UserError(
            f"{path}: with {len(names)} names, the columns of classes must be 0 to {len(names) - 1}; found "
            f"{_some(columns)}"
        )
    return [names[int(one)] for one in columns]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
