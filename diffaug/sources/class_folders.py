"""The user's own classification images: one folder per class (ImageFolder)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from diffaug.dataset.records import SPLITS
from diffaug.params.download import Folder
from diffaug.runtime.errors import UserError
from diffaug.sources.image_files import existing, file_item, images_below, split_folder, visible
from diffaug.sources.labelled import Labelled


def class_folders(params: Folder) -> Labelled:
    """A folder with train/CLASS/*, optionally val/CLASS/* and test/CLASS/*; or with only CLASS/*.

    Raises UserError naming the file or folder.
    """
    root = existing(Path(params.path), "download.cls.path")
    given = {split: folder for split in SPLITS if (folder := split_folder(root, split))}
    if "train" not in given:
        if given:
            raise UserError(f"{root}: has {', '.join(given)} but no train folder; add it, or use only class folders")
        given = {"train": root}
    names = tuple(sorted(folder.name for folder in given["train"].iterdir() if visible(folder) and folder.is_dir()))
    if len(names) < 2:
        raise UserError(
            f"{given['train']}: expected one folder per class, at least two; found {', '.join(names) or 'none'}"
        )
    files: list[tuple[Path, str, int]] = []
    for split, folder in given.items():
        for entry in sorted(filter(visible, folder.iterdir())):
            if not entry.is_dir() or entry.name not in names:
                raise UserError(f"{entry}: not a class of {given['train']} ({', '.join(names)}); move it away")
            files += [(path, split, names.index(entry.name)) for path in images_below(entry)]
    train = Counter(label for _, split, label in files if split == "train")
    _enough(train, names, given["train"], needed=1 + len({"val", "test"} - given.keys()))
    items = tuple(file_item(path, split, root, label=label) for path, split, label in files)
    return Labelled(names, items, frozenset(given))


def _enough(counts: Counter[int], names: Sequence[str], root: Path, needed: int) -> None:
    for label, name in enumerate(names):
        if counts[label] < needed:
            raise UserError(
                f"{root / name}: class {name!r} has {counts[label]} images, but needs {needed}, one for each "
                "split drawn from it; add images"
            )
