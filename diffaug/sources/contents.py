"""What lies in the user's folder of images with boxes, by kind of file."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from diffaug.runtime.errors import UserError
from diffaug.sources.faults import Fault
from diffaug.sources.image_files import files_below, is_image, seen


@dataclass(frozen=True)
class Contents:
    """root: the folder, below which ids are paths; images: those below `images`; others: the files below `labels` that
    are no images; files: all files of both; chosen: whether the user has named one of these folders; faults: links that
    lead nowhere."""

    root: Path
    images: tuple[Path, ...]
    others: tuple[Path, ...]
    files: tuple[Path, ...]
    chosen: bool
    faults: tuple[Fault, ...]

    @cached_property
    def by_name(self) -> dict[str, list[Path]]:
        """The images by their file names."""
        found: dict[str, list[Path]] = defaultdict(list)
        for image in self.images:
            found[image.name].append(image)
        return found

    def of(self, *suffixes: str) -> list[Path]:
        """The other files with one of the suffixes, in any case."""
        return [path for path in self.others if path.suffix.lower() in suffixes]

    @property
    def seen(self) -> str:
        """The folders and their numbers of files, for messages."""
        return seen(self.root, self.files)


def contents(root: Path, images: str | None = None, labels: str | None = None) -> Contents:
    """What lies below the folder; or the images below `images`, and the labels below `labels` (or this one file). If
    root is a file, what lies beside it, but of its kind only itself.

    Raises UserError if one of these does not exist.
    """
    folder = root if root.is_dir() else root.parent
    faults: list[Fault] = []
    files = files_below(folder, faults)
    if root != folder:
        files = [path for path in files if path == root or path.suffix.lower() != root.suffix.lower()]
    pictures = _below(folder, images, "images", files, faults)
    others = _below(folder, labels, "labels", files, faults)
    return Contents(
        folder,
        tuple(path for path in pictures if is_image(path)),
        tuple(path for path in others if not is_image(path)),
        tuple(dict.fromkeys([*files, *others])),
        images is not None or labels is not None,
        tuple(faults),
    )


def _below(folder: Path, name: str | None, key: str, files: Sequence[Path], faults: list[Fault]) -> Sequence[Path]:
    if name is None:
        return files
    place = folder / Path(name).expanduser()
    if not place.exists():
        raise UserError(f"download.det.{key}: {name} is not below {folder}; found {seen(folder, files)}")
    return files_below(place, faults) if place.is_dir() else [place]
