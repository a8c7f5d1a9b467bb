"""Images and their label files: pairs by name, in folders of any name and depth."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffaug.dataset.records import SPLITS
from diffaug.runtime.errors import UserError
from diffaug.sources.splits import check_one_word, need_train, split_of_folders


@dataclass(frozen=True)
class Pair:
    """An image and its label file; either may be missing. where: its place, for messages."""

    split: str
    image: Path | None
    label: Path | None
    where: str


def pair_up(images: Sequence[Path], labels: Sequence[Path], root: Path) -> list[Pair]:
    """Every image and every label file, by name without suffix; where names repeat, by the nearest folder, so that
    train/images/0.png and train/labels/0.txt are one pair. The split of all of them is train.

    Raises UserError if a label file fits two images, or two label files one image.
    """
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for one in images:
        by_stem[one.stem].append(one)
    found = {label: _image_of(label, by_stem[label.stem], root) for label in labels}
    # Where names repeat, a label file whose own image is missing must not take that of another folder.
    partners: dict[Path, set[Path]] = defaultdict(set)
    for label, image in found.items():
        if image is not None and len(by_stem[label.stem]) > 1:
            partners[label.parent].add(image.parent)
    label_of: dict[Path, Path] = {}
    alone: list[Pair] = []
    for label, image in found.items():
        if image is None or image.parent not in partners.get(label.parent, {image.parent}):
            alone.append(Pair("train", None, label, str(label)))
        elif label_of.setdefault(image, label) != label:
            raise UserError(
                f"{label}: {label_of[image]} is also a label file of {image}; move one of the two away, or name the "
                "folder of the labels with download.det.labels"
            )
    return [_pair(one, label_of.get(one)) for one in images] + alone


def _pair(image: Path, label: Path | None) -> Pair:
    return Pair("train", image, label, str(label or image))


def _image_of(label: Path, images: Sequence[Path], root: Path) -> Path | None:
    split = split_of_folders(label, root)
    fitting = [image for image in images if split is None or split_of_folders(image, root) in (None, split)]
    if len(fitting) < 2:
        return next(iter(fitting), None)
    distances = {image: _distance(label.parent.parts, image.parent.parts) for image in fitting}
    nearest = [image for image in fitting if distances[image] == min(distances.values())]
    if len(nearest) > 1:
        raise UserError(
            f"{nearest[1]}: {nearest[0]} has the same name, and so the same label file {label}; rename one, or name "
            "the folder of the images with download.det.images"
        )
    return nearest[0]


def _distance(one: Sequence[str], other: Sequence[str]) -> int:
    """The number of folders in which two paths differ, between their common beginning and their common end."""
    shorter = min(len(one), len(other))
    start = next((n for n in range(shorter) if one[n] != other[n]), shorter)
    end = next((n for n in range(shorter - start) if one[-1 - n] != other[-1 - n]), shorter - start)
    return max(len(one), len(other)) - start - end


def split_by_folders(pairs: Sequence[Pair], root: Path) -> list[Pair]:
    """The pairs with the splits that their folders name, if any does, in the order train, val, test and by name.

    Raises UserError if some images lie in such a folder, and others do not.
    """
    splits = {pair.where: _split(pair, root) for pair in pairs}
    given = {split for split in splits.values() if split}
    outside = [pair for pair in pairs if pair.image and splits[pair.where] is None]
    if given and outside:
        raise UserError(
            f"{outside[0].image}: lies in no folder of a split, as {len(outside)} of {len(pairs)} images, but others "
            f"lie in folders of {', '.join(sorted(given))}; move them, or rename their folder"
        )
    need_train(given, root)
    check_one_word([pair.image for pair in pairs if pair.image], root)
    named = [Pair(splits[pair.where] or "train", pair.image, pair.label, pair.where) for pair in pairs]
    return sorted(named, key=_order)


def _split(pair: Pair, root: Path) -> str | None:
    found = [split_of_folders(path, root) for path in (pair.image, pair.label) if path is not None]
    return next(filter(None, found), None)


def _order(pair: Pair) -> tuple[int, str, str]:
    path = pair.label or pair.image or Path(pair.where)
    return SPLITS.index(pair.split), path.stem, str(pair.image)


def places(pairs: Sequence[Pair], root: Path) -> str:
    """Where the images and the labels lie, in words."""
    images = sorted({pair.image.parent for pair in pairs if pair.image})
    labels = sorted({pair.label.parent for pair in pairs if pair.label})
    return f"images in {_listed(images, root)}, labels in {_listed(labels, root)}"


def _listed(folders: Sequence[Path], root: Path) -> str:
    names = [(one.relative_to(root) if one.is_relative_to(root) else one).as_posix() for one in folders]
    return ", ".join(names[:3] + [f"{len(names) - 3} more"] * (len(names) > 3))


def say_unlabelled(pairs: Sequence[Pair], root: Path, kind: str) -> None:
    """Print how many images have no label file (negatives, or a mistake). Raises UserError if none has one."""
    images = [pair for pair in pairs if pair.image is not None]
    missing = [pair for pair in images if pair.label is None]
    if images and len(missing) == len(images):
        raise UserError(
            f"{root}: no image has {kind} of its name, the first: {missing[0].image}; name the folders of both with "
            "download.det.images and download.det.labels"
        )
    if missing:
        print(
            f"download: {root}: {len(missing)} of {len(images)} images have no {kind.partition(' ')[2]} and count as "
            f"negatives, the first: {missing[0].image}"
        )
