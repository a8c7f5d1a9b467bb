"""An image set as an ImageFolder, and the names that exported files get."""

from pathlib import Path

from diffaug.dataset.records import ImageSet, Record
from diffaug.runtime.errors import UserError


def write_image_folder(images: ImageSet, folder: Path) -> None:
    """Write FOLDER/CLASS/NUMBER-ID.png; a slash in a class name becomes an underscore.

    Raises UserError where two classes would share a folder.
    """
    if len({plain(name) for name in images.names}) < len(images.names):
        raise UserError(f"{folder}: two classes would share a folder ({', '.join(images.names)}); rename one")
    for number, record in enumerate(images):
        name = images.names[record.label] if record.label is not None else "unlabelled"
        place = folder / plain(name)
        place.mkdir(parents=True, exist_ok=True)
        (place / file_name(number, record)).write_bytes(record.image)


def file_name(number: int, record: Record) -> str:
    """The name of the set's n-th image: its number and what its id ends with."""
    suffix = ".jpg" if record.image.startswith(b"\xff\xd8") else ".png"
    return f"{number:06d}-{plain(Path(record.id).stem)}{suffix}"


def plain(name: str) -> str:
    """A name that is a folder's or file's own, never a path."""
    return "".join("_" if letter in '/\\:*?"<>|' else letter for letter in name).strip(". ") or "_"
