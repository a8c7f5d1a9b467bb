"""The files of both sides: one per training, all of one kind."""

from collections.abc import Sequence
from pathlib import Path

from diffaug.runtime.errors import UserError
from diffaug.runtime.files import file_sha256

TASKS = {".json": "det", ".csv": "cls", ".parquet": "cls"}  # by the end of a file's name
_KINDS = ".json (COCO results), or .csv or .parquet (class probabilities)"
_PATTERN = "'runs/a-*/predictions.json'"

Sides = tuple[list[Path], list[Path]]


def find_sides(a: str, b: str) -> tuple[str, Sides]:
    """The task ("cls" or "det") and the files of A and B; each argument is a file, a folder of files, or a pattern.

    Raises UserError if a file is of another kind, if the sides have unequal numbers of files or different tasks, or if
    a side has the same predictions twice.
    """
    sides = _files("A", a), _files("B", b)
    tasks = {TASKS[path.suffix.lower()]: path for path in (*sides[0], *sides[1])}
    if len(tasks) > 1:
        raise UserError(f"{tasks['det']} and {tasks['cls']}: both sides must be of one kind: {_KINDS}")
    first, second = map(len, sides)
    if first != second:
        raise UserError(
            f"A has {_counted(first)} and B {_counted(second)}: give both sides the same number of trainings, "
            "one file each"
        )
    for side in sides:
        _refuse_copies(side)
    return next(iter(tasks)), sides


def _files(side: str, given: str) -> list[Path]:
    """The files of one side, in the order of their names."""
    place = Path(given)
    if place.is_dir():
        found = sorted(path for path in place.iterdir() if path.suffix.lower() in TASKS and path.is_file())
        if not found:
            raise UserError(f"{side}: {given}: this folder has no file of a kind that is compared: {_KINDS}")
        return found
    found = [place] if place.is_file() else _matching(place)
    if not found:
        raise UserError(
            f"{side}: {given}: not found; give a file, a folder of files, or a pattern in quotes such as {_PATTERN}"
        )
    for path in found:
        if path.suffix.lower() not in TASKS or not path.is_file():
            raise UserError(f"{side}: {path}: not a file that is compared; allowed are {_KINDS}")
    return found


def _matching(pattern: Path) -> list[Path]:
    try:
        return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
    except ValueError:  # such as **a, which is no pattern
        return []


def _refuse_copies(side: Sequence[Path]) -> None:
    """Two trainings never give the same bytes; a copy would make the spread of the trainings look small."""
    seen: dict[str, Path] = {}
    for path in side:
        first = seen.setdefault(file_sha256(path), path)
        if first is not path:
            raise UserError(
                f"{first} and {path} are the same predictions; give one file per training, each with its seed"
            )


def _counted(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"
