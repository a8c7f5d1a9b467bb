"""Captions of one's own: a text file beside each picture, as kohya's scripts read them, or one table for all."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from diffaug.params.base import visible, with_slashes
from diffaug.runtime.errors import UserError
from diffaug.sources.image_files import files_below, is_image

_TABLES = ("metadata.csv", "metadata.jsonl")  # as the hub's image folders and DiffSynth-Studio call them
_FILE, _TEXT = "file_name", "text"


class Captions:
    """The captions in a folder or a table. A picture is found by its name, with or without its suffix."""

    def __init__(self, place: Path) -> None:
        """place: a folder of text files, or with a metadata.csv or metadata.jsonl in it, or such a table itself.

        Raises UserError if there are no captions, one is empty, or a table is damaged.
        """
        self.place = place
        self._by_name: Mapping[str, list[str]] = _read(place)

    def of(self, name: str) -> tuple[str, ...]:
        """All captions of the picture of this name, a path relative to the folder. Raises UserError if it has none."""
        found = self._by_name.get(name) or self._by_name.get(_plain(name))
        if not found:
            raise UserError(f"{self.place}: has no caption for {name}; add one, or take the picture away")
        return tuple(found)

    def refuse_others(self, names: list[str]) -> None:
        """Raises UserError if a table names a picture that is not one of these, or a text would be of two of them."""
        known = {*names, *map(_plain, names)}
        first: dict[str, str] = {}
        for name in names if _table(self.place) is None else ():
            if first.setdefault(_plain(name), name) != name:
                raise UserError(f"{self.place}: {first[_plain(name)]} and {name} would share a caption; rename one")
        for name in self._by_name if _table(self.place) else ():
            if name not in known:
                raise UserError(f"{_table(self.place)}: {_FILE}: found {name!r}, but there is no such picture")


def _read(place: Path) -> dict[str, list[str]]:
    if not place.exists():
        raise UserError(f"{place}: does not exist; make a folder of captions, or a table of them, .csv or .jsonl")
    table = _table(place)
    found: dict[str, list[str]] = {}
    for name, text, where in _rows(table) if table else _texts(place):
        try:
            visible(text)
        except ValueError as error:
            raise UserError(f"{where}: the caption {error}") from None
        if not text.strip():
            raise UserError(f"{where}: the caption is empty; write it, or take the picture away")
        found.setdefault(name, []).append(text.strip())
    if not found:
        raise UserError(f"{place}: has no captions; write NAME.txt for each NAME.png, or a {' or a '.join(_TABLES)}")
    return found


def _table(place: Path) -> Path | None:
    if place.is_file():
        return place
    tables = [place / name for name in _TABLES if (place / name).is_file()]
    if len(tables) > 1:
        raise UserError(f"{place}: has {' and '.join(_TABLES)}; keep one of them")
    texts = [path for path in files_below(place, []) if path.suffix.lower() == ".txt"] if tables else []
    if texts:
        raise UserError(f"{place}: has {tables[0].name}, and texts such as {texts[0].name}; keep one of both")
    return tables[0] if tables else None


def _texts(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """The name of each text file without its suffix, and its lines that are not blank; of an empty one, one blank."""
    for path in files_below(folder, []):
        if path.suffix.lower() == ".txt":
            lines = [line for line in _lines(path) if line.strip()]
            for line in lines or [""]:
                yield path.relative_to(folder).with_suffix("").as_posix(), line, path


def _rows(table: Path) -> Iterator[tuple[str, str, str]]:
    text = "\n".join(_lines(table))
    rows = _csv_rows(table, text) if table.suffix.lower() == ".csv" else _json_rows(table, text)
    for number, row in rows:
        where = f"{table}, line {number}"
        for key in (_FILE, _TEXT):
            if not isinstance(row.get(key), str):
                raise UserError(
                    f"{where}: {key}: found {str(row.get(key))[:40]!r}; both {_FILE} and {_TEXT} must be text"
                )
        yield with_slashes(row[_FILE]).removeprefix("./"), row[_TEXT], where


def _csv_rows(table: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if not {_FILE, _TEXT} <= set(reader.fieldnames or ()):
            found = ", ".join(reader.fieldnames or ())[:80]
            raise UserError(f"{table}: its columns are {found or 'none'}; name them {_FILE} and {_TEXT}")
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{table}, line {reader.line_num}: not a table ({error}); correct it") from None


def _json_rows(table: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            example = f'{{"{_FILE}": "a.png", "{_TEXT}": "a cat"}}'
            raise UserError(f"{table}, line {number}: not a JSON object such as {example}; correct it")
        yield number, row


def _lines(path: Path) -> list[str]:
    """Split at line ends alone: a caption may have other marks at which Python would split."""
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8; save it as one") from None


def _plain(name: str) -> str:
    """The name without the suffix of an image."""
    return Path(name).with_suffix("").as_posix() if is_image(Path(name)) else name
