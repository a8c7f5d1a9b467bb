"""Writes an image set as an ImageFolder; and the names of exported files."""

import unicodedata
from pathlib import Path

from diffaug.dataset.records import ImageSet, Record
from diffaug.runtime.errors import UserError
from diffaug.runtime.text import unseen

_LONGEST = 60  # characters of an id: a file's name has at most 255 bytes, and a Chinese character three
_BYTES = 200
# Names that Windows gives to devices, so that no file can have them.
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in "123456789¹²³")}


def write_image_folder(images: ImageSet, folder: Path) -> None:
    """Write FOLDER/CLASS/NUMBER-ID.png; a slash in a class name becomes an underscore.

    Raises UserError if two classes would share a folder.
    """
    if len({unicodedata.normalize("NFC", plain(name)).casefold() for name in images.names}) < len(images.names):
        raise UserError(f"{folder}: two classes would share a folder ({', '.join(images.names)}); rename one")
    for number, record in enumerate(images):
        name = images.names[record.label] if record.label is not None else "unlabelled"
        place = folder / plain(name)
        place.mkdir(parents=True, exist_ok=True)
        (place / file_name(number, record)).write_bytes(record.image)


def file_name(number: int, record: Record) -> str:
    """The name of the set's n-th image: its number and the end of its id."""
    suffix = ".jpg" if record.image.startswith(b"\xff\xd8") else ".png"
    return f"{number:06d}-{plain(Path(record.id).stem[-_LONGEST:])}{suffix}"


def plain(name: str) -> str:
    """The name as a single file or folder name on every system, never a path."""
    short = name.encode("utf-8", "replace")[:_BYTES].decode("utf-8", "ignore")
    safe = "".join("_" if letter in '/\\:*?"<>|' or unseen(letter) else letter for letter in short).strip(". ")
    return f"_{safe}" if not safe or safe.partition(".")[0].upper() in _DEVICES else safe
