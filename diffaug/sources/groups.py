"""Images that must be in one split, since their names say that they show the same thing."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from diffaug.runtime.errors import UserError
from diffaug.sources.image_files import SUFFIXES
from diffaug.sources.labelled import Item, Labelled

_PARTS = re.compile(r"\{(\w+)\}|(\*\*/)|(\*)|(\?)")


def grouped(labelled: Labelled, pattern: str | None, key: str) -> Labelled:
    """The images with their groups: those whose names have the same values in the braces of the pattern.

    A pattern with a slash is compared with the path below the folder, any other with the file name; the suffix need
    not be in the pattern. `*` is any text, `?` any character, `**/` any folders; a value is as short as possible.
    Raises UserError if an image does not fit; `key`: the parameter of the pattern.
    """
    if pattern is None:
        return labelled
    regular = _regular(pattern)
    return replace(labelled, items=tuple(_with_group(item, pattern, regular, key) for item in labelled.items))


def _with_group(item: Item, pattern: str, regular: re.Pattern[str], key: str) -> Item:
    name = item.id if "/" in pattern else PurePosixPath(item.id).name
    found = regular.fullmatch(name)
    if found is None:
        raise UserError(f"{key}: {name} ({item.file}) does not fit {pattern!r}; change the pattern, or the name")
    return replace(item, group=tuple(sorted(found.groupdict().items())))


def _regular(pattern: str) -> re.Pattern[str]:
    text, end, named = "", 0, set()
    for part in _PARTS.finditer(pattern):
        text += re.escape(pattern[end : part.start()])
        name, folders, star, _ = part.groups()
        if name in named:
            text += f"(?P={name})"
        elif name:
            text += f"(?P<{name}>[^/]+?)"
            named.add(name)
        else:
            text += "(?:[^/]+/)*" if folders else "[^/]*" if star else "[^/]"
        end = part.end()
    suffixes = "|".join(re.escape(suffix) for suffix in sorted(SUFFIXES))
    return re.compile(f"{text}{re.escape(pattern[end:])}(?:(?i:{suffixes}))?", re.DOTALL)


def count(items: Sequence[Item]) -> int:
    """The number of different groups."""
    return len({item.group for item in items} - {None})
