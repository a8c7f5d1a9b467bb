"""Writes an image set as an ImageFolder; and the names of exported files."""

from pathlib import Path

from diffaug.dataset.records import ImageSet, Record
from diffaug.runtime.errors import UserError


def write_image_folder(images: ImageSet, folder: Path) -> None:
    """Write FOLDER/CLASS/NUMBER-ID.png; a slash in a class name becomes an underscore.

    Raises UserError if two classes would share a folder.
    """
    if len({plain(name) for name in images.names}) < len(images.names):
        raise UserError(f"{folder}: two classes would share a folder ({', '.join(images.names)}); rename one")
    for number, record in enumerate(images):
        name = images.names[record.label] if record.label is not None else "unlabelled"
        place = folder / plain(name)
        place.mkdir(parents=True, exist_ok=True)
        (place / file_name(number, record)).write_bytes(record.image)


def file_name(number: int, record: Record) -> str:
    """The name of the set's n-th image: its number and the end of its id."""
    suffix = ".jpg" if record.image.startswith(b"\xff\xd8") else ".png"
    return f"{number:06d}-{plain(Path(record.id).stem)}{suffix}"


def plain(name: str) -> str:
    """The name as a single file or folder name, never a path."""
    return "".join("_" if letter in '/\\:*?"<>|' else letter for letter in name).strip(". ") or "_"
