"""Images in a folder: which files are images, the names of split folders, the ids of images."""

from functools import partial
from pathlib import Path
from typing import Any

from diffaug.dataset.codec import read_file
from diffaug.runtime.errors import UserError
from diffaug.sources.labelled import Item

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
SPLIT_NAMES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


def existing(path: Path, key: str) -> Path:
    """The path. Raises UserError if it does not exist; `key`: the parameter or file that names it."""
    if not path.exists():
        raise UserError(f"{key}: {path} does not exist; give a path, absolute or relative to the repository")
    return path


def visible(path: Path) -> bool:
    """Whether it is not a file that a desktop leaves behind: its name begins with a dot, or is one of Windows'."""
    return not path.name.startswith(".") and path.name.lower() not in ("thumbs.db", "desktop.ini")


def is_image(path: Path) -> bool:
    """Whether the file has the suffix of an image."""
    return path.suffix.lower() in SUFFIXES


def split_folder(root: Path, split: str) -> Path | None:
    """The folder of the split below root, such as "valid" for val."""
    return next((root / name for name in SPLIT_NAMES[split] if (root / name).is_dir()), None)


def images_below(folder: Path) -> list[Path]:
    """All images below the folder. Raises UserError on any other file: nothing is dropped silently."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir() and visible(path))
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: no file, but a link that leads nowhere, or a pipe; mend or remove it")
        if not is_image(path):
            raise UserError(f"{path}: not an image ({', '.join(sorted(SUFFIXES))} are); move or convert the file")
    return files


def file_item(path: Path, split: str, root: Path, where: str | None = None, **labels: Any) -> Item:
    """An image file as an item. Its path below root is the id, so that messages and exports refer to the file."""
    full, base = path.resolve(), root.resolve()
    name = full.relative_to(base) if full.is_relative_to(base) else path
    try:
        str(name).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: its name is not valid UTF-8; rename the file") from None
    return Item(name.as_posix().lstrip("/"), split, partial(read_file, path), where or str(path), **labels)


def text_lines(path: Path) -> list[str]:
    """The lines of a list. Raises UserError if it is not text."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8; expected one image per line") from None


def number(value: Any) -> float:
    """A JSON or text value as a float, which may be NaN. Raises ValueError if it is not a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is not a number")
    return float(value)
