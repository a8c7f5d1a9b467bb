"""The COCO files of a folder: which json files are, and of which split each one is."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffaug.runtime.errors import UserError
from diffaug.sources.splits import split_in_words, split_of_folders

# The names that COCO itself and Roboflow use; a file with another name counts by its content.
_NAMED = re.compile(r"instances_.+\.json|_annotations\.coco\.json", re.IGNORECASE)
_LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class CocoFile:
    """One json: its split, and its lists."""

    path: Path
    split: str
    content: dict[str, list[Any]] = field(repr=False)


def coco_files(paths: Sequence[Path]) -> list[Path]:
    """Those of the json files that are COCO files. Where some have the names that COCO gives to boxes, as beside files
    of captions and key points, only these."""
    named = [path for path in paths if _NAMED.fullmatch(path.name)]
    return named or [path for path in paths if _looks_like_coco(path)]


def _looks_like_coco(path: Path) -> bool:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() >= set(_LISTS)


def split_of_file(path: Path, root: Path) -> str | None:
    """The split in the file's name, or else of the folders in which it lies; None if there is none."""
    return split_in_words(path.stem, path) or split_of_folders(path, root)


def open_file(path: Path, split: str) -> CocoFile:
    """The file's content. Raises UserError if it is not a COCO file."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); correct or replace the file") from None
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in _LISTS):
        raise UserError(f"{path}: not a COCO file with the lists {', '.join(_LISTS)}; correct or replace the file")
    return CocoFile(path, split, content)
