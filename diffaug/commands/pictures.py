"""The pictures of a folder, for the commands that take one."""

from pathlib import Path

from tqdm import tqdm

from diffaug.dataset.codec import read_file
from diffaug.dataset.records import Record, make_record
from diffaug.runtime.errors import UserError
from diffaug.sources.image_files import files_below, is_image, no_image


def read_pictures(folder: Path) -> list[Record]:
    """All pictures below the folder, sorted by their paths in it, which are the ids. Raises UserError if there is none,
    or if one cannot be read."""
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder; give a folder with pictures")
    files = files_below(folder, [])
    pictures = [path for path in files if is_image(path)]
    if not pictures:
        raise no_image(folder, files)
    read = tqdm(pictures, desc="reading images", unit="image", mininterval=1.0, delay=3.0, leave=False)
    return [make_record(path.relative_to(folder).as_posix(), read_file(path), "train", label=0) for path in read]
