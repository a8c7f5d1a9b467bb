"""The pictures of a folder, for the commands that take one, and the sheets that show all of them."""

import struct
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from diffaug.dataset.codec import encode_png, open_image, read_file
from diffaug.dataset.records import Record, make_record
from diffaug.generation.drawing.pnginfo import is_sheet, sheet_text
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path
from diffaug.sources.image_files import files_below, is_image, no_image


def refuse_file(out: Path) -> None:
    """Raises UserError if what is to be a folder is a file."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out: {out} is a file, and the pictures go into a folder; name a folder")


def refuse_folder(out: Path) -> None:
    """Raises UserError if what is to be a PNG is a folder."""
    if out.is_dir():
        raise UserError(f"--out: {out} is a folder, and one picture is written; name a .png")


def save_sheet(sheet: Image.Image, path: Path) -> Path:
    """Write a sheet of pictures, completely or not at all, as a PNG that says what it is; returns the path."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(encode_png(sheet, sheet_text()))
    return path


def read_pictures(folder: Path) -> list[Record]:
    """All pictures below the folder, sorted by their paths in it, which are the ids; without sheets of them, which
    `draw` and `story` write beside. Raises UserError if there is none, or if one cannot be read."""
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder; give a folder with pictures")
    files = files_below(folder, [])
    pictures = [path for path in files if is_image(path) and not _is_sheet(path)]
    if not pictures:
        raise no_image(folder, files)
    read = tqdm(pictures, desc="reading images", unit="image", mininterval=1.0, delay=3.0, leave=False)
    return [make_record(path.relative_to(folder).as_posix(), read_file(path), "train", label=0) for path in read]


def _is_sheet(path: Path) -> bool:
    try:
        with open_image(path.read_bytes()) as image:
            return is_sheet(image)
    except (OSError, SyntaxError, ValueError, TypeError, struct.error, Image.DecompressionBombError, ImportError):
        return False  # it is named when it is read
