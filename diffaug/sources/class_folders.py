"""The user's own classification images: one folder per class (ImageFolder)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffaug.dataset.records import SPLITS
from diffaug.params.download import Folder
from diffaug.runtime.errors import UserError
from diffaug.sources.faults import Fault
from diffaug.sources.image_files import (
    existing,
    file_item,
    files_below,
    is_image,
    no_image,
    no_picture,
    say_unread,
    visible,
)
from diffaug.sources.labelled import Labelled
from diffaug.sources.splits import by_split, need_train, split_of

_LABELS = {".json", ".txt", ".xml"}
_NO_CLASSES = {"annotations", "images", "jpegimages", "labels"}


@dataclass(frozen=True)
class _Class:
    """A folder whose images, at any depth, are of one class."""

    split: str
    name: str
    folder: Path


def class_folders(params: Folder) -> Labelled:
    """A folder with train/CLASS/*, optionally val/CLASS/* and test/CLASS/*; or CLASS/train/* and so on; or only
    CLASS/*. Splits may have any of their names (see splits.py); the whole may lie in one more folder.

    Raises UserError naming the file or folder that fits no layout.
    """
    root = existing(params.path, "download.cls.path")
    if not root.is_dir():
        raise UserError(f"download.cls.path: {root} is a file; give the folder of the class folders")
    faults: list[Fault] = []
    files = files_below(root, faults)
    images = [path for path in files if is_image(path)]
    if not images:
        raise no_image(root, files)
    top, layout, folders = _layout(root, images)
    holders = _holders(images, folders)
    used = set(holders.values())
    given = [split for split in SPLITS if any(one.split == split for one in folders)]
    need_train(given, top)
    for empty in [one for one in folders if one not in used]:
        print(f"download: {empty.folder}: no image is in it, so it is left out")
    names = _names(top, used, given[0])
    faults += _strays(files, images, {one.folder: one for one in used}, root)
    ordered = sorted(images, key=lambda path: _order(holders[path], names, path))
    items = tuple(file_item(path, holders[path].split, root, label=names.index(holders[path].name)) for path in ordered)
    train = Counter(item.label for item in items if item.split == "train")
    _enough(train, names, top, needed=1 + len({"val", "test"} - set(given)))
    return Labelled(names, items, frozenset(given), tuple(faults), layout=layout)


def _names(top: Path, used: set[_Class], first: str) -> tuple[str, ...]:
    names = tuple(sorted({one.name for one in used if one.split == first}))
    if len(names) < 2:
        raise UserError(
            f"{top}: expected one folder with images per class, at least two; found {', '.join(names) or 'none'}"
        )
    wrapper = next((name for name in names if name.lower() in _NO_CLASSES), None)
    if wrapper is not None:
        raise UserError(
            f"{top}: {wrapper!r} would be a class, beside {', '.join(name for name in names if name != wrapper)}; name "
            "the folder in which the class folders lie with download.cls.path, or rename it"
        )
    for one in sorted(used, key=lambda one: one.folder):
        if one.name not in names:
            raise UserError(f"{one.folder}: not a class of {first} ({', '.join(names)}); move it away")
    return names


def _strays(files: Sequence[Path], images: Sequence[Path], by_folder: Mapping[Path, _Class], root: Path) -> list[Fault]:
    """The faults of files among the images that are none, except labels of boxes; other files are only said."""
    stems = {image.with_suffix("") for image in images}
    others = [path for path in files if not is_image(path)]
    labels = {path for path in others if path.suffix.lower() in _LABELS and path.with_suffix("") in stems}
    strays = {path for path in others if _holder(path, by_folder) and path not in labels}
    say_unread([path for path in others if path not in strays], root)
    return [no_picture(path) for path in others if path in strays]


def _holders(images: Sequence[Path], folders: Sequence[_Class]) -> dict[Path, _Class]:
    by_folder = {one.folder: one for one in folders}
    found = {image: _holder(image, by_folder) for image in images}
    lost = next((image for image, holder in found.items() if holder is None), None)
    if lost is not None:
        beside = sorted({one.folder.name for one in folders})
        raise UserError(f"{lost}: lies beside the folders {', '.join(beside)}, not in one of them; move it away")
    return {image: holder for image, holder in found.items() if holder is not None}


def _holder(path: Path, by_folder: Mapping[Path, _Class]) -> _Class | None:
    return next((by_folder[folder] for folder in path.parents if folder in by_folder), None)


def _order(holder: _Class, names: Sequence[str], path: Path) -> tuple[int, int, Path]:
    return SPLITS.index(holder.split), names.index(holder.name), path


def _layout(root: Path, images: Sequence[Path]) -> tuple[Path, str, list[_Class]]:
    """The folder in which the classes or splits lie, the layout in words, and the folders of the classes."""
    top = _inner(root, images, lambda name: split_of(name) is None)
    parts = [path.relative_to(top).parts for path in images]
    tops = sorted({one[0] for one in parts if len(one) > 1})
    splits = [name for name in tops if split_of(name) and any(one[0] == name and len(one) > 2 for one in parts)]
    if not splits and tops and all(map(split_of, tops)):
        raise UserError(f"{top}: no class folders are in {', '.join(tops)}, only images; sort these into class folders")
    if not tops:
        raise UserError(f"{top}: its images lie in no folders; sort them into one folder per class")
    if splits:
        return top, "split folders of class folders", _below_splits(top, images, tops)
    inner = {name: sorted({one[1] for one in parts if one[0] == name and len(one) > 2}) for name in tops}
    if any(split_of(name) == "train" for names in inner.values() for name in names):
        return top, "class folders of split folders", _below_classes(top, inner)
    return top, "class folders", [_Class("train", folder.name, folder) for folder in _folders(top)]


def _below_splits(top: Path, images: Sequence[Path], tops: Sequence[str]) -> list[_Class]:
    given = by_split(tops, top)
    other = [name for name in tops if name not in given.values()]
    if other:
        raise UserError(
            f"{top / other[0]}: has images and lies beside {', '.join(given.values())}, but is no name of a split; "
            "rename it, or move it away"
        )
    found = []
    for split, name in given.items():
        # As in training_set/training_set/cat.
        place = _inner(top / name, [path for path in images if path.is_relative_to(top / name)], _names_of(split))
        found += [_Class(split, folder.name, folder) for folder in _folders(place)]
    return found


def _names_of(split: str) -> Callable[[str], bool]:
    return lambda name: split_of(name) == split


def _below_classes(top: Path, inner: dict[str, list[str]]) -> list[_Class]:
    found = []
    for name, folders in inner.items():
        given = by_split(folders, top / name)
        other = [folder for folder in folders if folder not in given.values()]
        if other or "train" not in given:
            raise UserError(
                f"{top / name}: other classes have split folders such as train; found {', '.join(folders) or 'none'}; "
                "give each class the same ones"
            )
        found += [_Class(split, name, top / name / folder) for split, folder in given.items()]
    return found


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if visible(path) and path.is_dir())


def _inner(folder: Path, images: Sequence[Path], passes: Callable[[str], bool]) -> Path:
    """The folder itself; or, if it only wraps another one that has folders of images, that one."""
    parts = [path.relative_to(folder).parts for path in images]
    first = {one[0] for one in parts}
    if len(first) == 1 and all(len(one) > 2 for one in parts) and passes(parts[0][0]):
        return _inner(folder / parts[0][0], images, passes)
    return folder


def _enough(counts: Counter[int | None], names: Sequence[str], root: Path, needed: int) -> None:
    for label, name in enumerate(names):
        if counts[label] < needed:
            raise UserError(
                f"{root / name}: class {name!r} has {counts[label]} images, but needs {needed}, one for each "
                "split drawn from it; add images"
            )
