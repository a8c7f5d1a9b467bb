"""The files of a user's folder: which are images, what is no data, what links lead to; the ids of images."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from diffaug.runtime.errors import UserError, in_words
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.labelled import Item

SUFFIXES = {".bmp", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
# Pictures that are not read, but that nobody means to leave out.
_OTHER_PICTURES = {".avif", ".cr2", ".dng", ".gif", ".heic", ".heif", ".jp2", ".nef", ".svg"}
# What desktops and tools leave behind, besides names that begin with a dot.
_LEFT_BEHIND = {"thumbs.db", "desktop.ini", "@eadir", "__macosx", "$recycle.bin"}
_SHOWN = 8


def existing(path: str, key: str) -> Path:
    """The path, with ~ as the home folder. Raises UserError if it does not exist; `key`: the parameter with it."""
    place = Path(path).expanduser()
    if not place.exists():
        raise UserError(f"{key}: {path} does not exist; give a path, absolute or relative to the repository")
    return place


def visible(path: Path) -> bool:
    """Whether the file or folder may be the user's data, and not what a desktop or a tool leaves behind."""
    return not path.name.startswith(".") and path.name.lower() not in _LEFT_BEHIND


def is_image(path: Path) -> bool:
    """Whether the file has the suffix of an image."""
    return path.suffix.lower() in SUFFIXES


def files_below(folder: Path, faults: list[Fault]) -> list[Path]:
    """All visible files below the folder, sorted, also through links; a link that leads nowhere is a fault.

    Raises UserError if a folder cannot be read, or a name is not valid UTF-8.
    """
    found: list[Path] = []
    try:
        _walk(folder, (), found, faults)
    except OSError as error:
        raise UserError(in_words(error)) from None
    return sorted(found)


def _walk(folder: Path, above: tuple[Path, ...], found: list[Path], faults: list[Fault]) -> None:
    here = folder.resolve()
    if here in above:  # a link to a folder in which it lies: all of it is already read
        return
    for path in sorted(filter(visible, folder.iterdir())):
        _check_name(path)
        if path.is_dir():
            _walk(path, (*above, here), found, faults)
        elif path.is_file():
            found.append(path)
        else:
            text = f"{path}: no file, but a link that leads nowhere, or a pipe; mend or remove it"
            faults.append(Fault(Kind.LINK, text, path.stem))


def _check_name(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: its name is not valid UTF-8; rename it") from None


def no_picture(path: Path) -> Fault:
    """The fault of a file that lies where only images belong."""
    if _is_other_picture(path):
        text = f"{path}: {path.suffix} pictures are not read; convert it to PNG or JPEG, or move it away"
        return Fault(Kind.NO_PICTURE, text)
    return Fault(Kind.NO_PICTURE, f"{path}: not an image ({', '.join(sorted(SUFFIXES))} are); move or convert the file")


def other_pictures(files: Iterable[Path]) -> list[Fault]:
    """The faults of pictures whose formats are not read."""
    return [no_picture(path) for path in files if _is_other_picture(path)]


def _is_other_picture(path: Path) -> bool:
    return path.suffix.lower() in _OTHER_PICTURES


def no_image(root: Path, files: Sequence[Path]) -> UserError:
    """The error of a folder without a single image that is read."""
    others = other_pictures(files)
    return UserError(others[0].text if others else f"{root}: no image is in it; found {seen(root, files)}")


def say_unread(files: Sequence[Path], where: object) -> None:
    """Print how many files are neither images nor labels, and so not read."""
    if files:
        print(f"download: {where}: {len(files)} files are not read (no images, no labels), the first: {files[0]}")


def seen(root: Path, files: Iterable[Path]) -> str:
    """What is in the folder, and beside it if files lie elsewhere, for messages: the folders with files, each with its
    number of files by suffix."""
    folders: dict[str, Counter[str]] = {}
    for path in files:
        folder = path.relative_to(root).parent if path.is_relative_to(root) else path.parent
        counts = folders.setdefault(folder.as_posix(), Counter())
        counts[path.suffix.lower() or "(no suffix)"] += 1
    texts = [
        f"{name}: {', '.join(f'{count} {suffix}' for suffix, count in counts.most_common(4))}"
        for name, counts in sorted(folders.items())
    ]
    more = [f"{len(texts) - _SHOWN} more folders"] if len(texts) > _SHOWN else []
    return "; ".join(texts[:_SHOWN] + more) or "no files"


def file_item(path: Path, split: str, root: Path, where: str | None = None, **labels: Any) -> Item:
    """An image file as an item. Its path below root is the id, so that messages and exports refer to the file; an image
    elsewhere is named by its folder. Links are not followed, so that an id never names a place of the machine."""
    inside = Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root))
    name = os.path.relpath(path, root) if inside else f"outside/{path.parent.name}/{path.name}"
    return Item(Path(name).as_posix(), split, partial(_read, path), where or str(path), str(path), **labels)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(in_words(error)) from None


def text_lines(path: Path) -> list[str]:
    """The lines of a text file, without a byte-order mark. Raises UserError if it is not text in UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8; save it as one") from None


def number(value: Any) -> float:
    """A JSON or text value as a float, which may be NaN. Raises ValueError if it is not a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is not a number")
    return float(value)
