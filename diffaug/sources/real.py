"""The output of every source: records by split; and the check that no image is in two splits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffaug.dataset.records import Record
from diffaug.hub.seen import NOTHING_SEEN, Seen
from diffaug.pictures.hashing import pixel_hash
from diffaug.runtime.errors import UserError
from diffaug.runtime.text import unseen
from diffaug.sources.faults import Dropped

_NOTHING_DROPPED = Dropped()
_LOOKED_AT, _MUCH, _FEW_TESTS, _FEW_TRAIN = 100, 4, 200, 5
_LONGEST_NAME = 100  # characters of a class name
_SHOWN = 8  # names in one message
HELD_OUT = ("val", "test")
_KEPT_FIRST = ("test", "val", "train", "pool")


@dataclass(frozen=True)
class RealData:
    """Class names; records of train, val, test and, if there are extra images, pool; counts of what was dropped."""

    names: tuple[str, ...]
    splits: dict[str, tuple[Record, ...]]
    dropped: Dropped = _NOTHING_DROPPED


@dataclass(frozen=True)
class Inputs:
    """What a source may use besides its own params: the seed of all draws, whether a fault stops the run, a folder for
    downloads, the images of the other task, and those that the generator knows, which no draw takes for val or
    test."""

    seed: int
    strict: bool
    work: Path
    other: RealData
    known: Seen = NOTHING_SEEN


def describe(data: RealData) -> str:
    """The number of images per split and, for detection, the boxes per class and the images without a box."""
    parts = []
    for split, records in data.splits.items():
        boxes = Counter(number for record in records for number in record.category)
        text = f"{split} {len(records)} images"
        if boxes:
            counts = ", ".join(f"{name} {boxes[number]}" for number, name in enumerate(data.names))
            text += f" ({counts}; {sum(not record.category for record in records)} without a box)"
        parts.append(text)
    return f"{len(data.names)} class{'' if len(data.names) == 1 else 'es'}; {', '.join(parts)}"


def remarks(data: RealData, side: int, key: str) -> Iterator[str]:
    """Warnings about data that is valid but probably not intended: classes of very few train images, photographs much
    larger than the network's `side` in pixels (set by the parameter `key`), and a test set too small to show a
    difference. The size of this difference is known for accuracy only: how much the mAP of two detectors scatters
    depends on the objects."""
    train = data.splits["train"]
    counts = Counter(label for record in train for label in {record.label, *record.category} if label is not None)
    rare = [f"{data.names[label]} ({count})" for label, count in sorted(counts.items()) if count < _FEW_TRAIN]
    if rare:
        more = f" and {len(rare) - _SHOWN} more" if len(rare) > _SHOWN else ""
        yield (
            f"classes with fewer than {_FEW_TRAIN} train images: {', '.join(rare[:_SHOWN])}{more}; too few to "
            "learn from: add images, or leave the class out"
        )
    longest = float(np.median([max(record.size) for record in train[:_LOOKED_AT]]))
    if longest >= _MUCH * side:
        yield f"the photographs are about {longest:.0f} pixels long, but {key} is {side}; are the details still there?"
    tests = len(data.splits["test"])
    if tests < _FEW_TESTS and data.splits["test"][0].label is None:
        yield f"with {tests} test images, only a large difference of the mAP is visible; more images show smaller ones"
    elif tests < _FEW_TESTS:
        # A McNemar test, if the two models disagree on a fifth of the images: 1.96 + 0.84 standard errors.
        points = 100 * 2.8 * (0.2 / tests) ** 0.5
        yield f"with {tests} test images, a difference below about {points:.0f} points of accuracy is hardly visible"


def check_classes(data: RealData, where: str) -> None:
    """Raises UserError if a class has a name that no table or figure can show, or no image (or no box) in train, val or
    test, or if a classifier would have one class only."""
    for name in data.names:
        _check_name(name, where)
    if len(data.names) == 1 and any(record.label is not None for record in data.splits["train"]):
        raise UserError(
            f"{where}: has the one class {data.names[0]!r}, but a classifier needs at least two; add images of another "
            "class, or set it to null"
        )
    for split in ("train", "val", "test"):
        records = data.splits[split]
        seen = {record.label for record in records} | {number for record in records for number in record.category}
        for number, name in enumerate(data.names):
            if number not in seen:
                raise UserError(
                    f"{where}: class {name!r} has no image in {split}; add some, or remove the class from the data"
                )


def _check_name(name: str, where: str) -> None:
    sign = "<" if "<" in name else unseen(name)  # in the page of `dvc plots`, it would begin a tag
    if sign is not None or not name.strip() or len(name) > _LONGEST_NAME:
        found = f"has the character {sign}" if sign else f"has {len(name)} characters" if name.strip() else "is empty"
        raise UserError(
            f"{where}: class {name[:40]!r} {found}; allowed are 1 to {_LONGEST_NAME} characters without <, "
            "control characters, line ends and marks of direction: rename it in the data"
        )


def check_disjoint(sets: Iterable[tuple[str, Sequence[Record]]], known: Seen = NOTHING_SEEN) -> None:
    """Raises UserError, naming both, if the same pixels are in two splits, or in the pool and a split; or if the
    generator was trained on an image of val or test.

    sets: pairs of a split's name and its records; a split may occur more than once (one per task).
    """
    seen: dict[str, tuple[str, str]] = {}
    for split, records in sets:
        for record in records:
            pixels = pixel_hash(record.open())
            if split in HELD_OUT and pixels in known:
                raise UserError(
                    f"download: {split} ({record.id}) is an image on which {known.name} was trained: a result on "
                    "it would be meaningless; remove it, or draw with another model"
                )
            other = seen.setdefault(pixels, (split, record.id))
            if other[0] != split:
                raise UserError(f"{_twice(other, (split, record.id))}; remove one of the two")


def copies(holders: Sequence[tuple[str, str, str]]) -> dict[int, str]:
    """Which images to drop so that no pixels are in two splits, and why: train is dropped before val before test.

    holders: (split, id, hash of the pixels) of each image. Returns the index of each dropped image, with a message.
    """
    kept: dict[str, tuple[str, str]] = {}
    for split, id, pixels in sorted(holders, key=lambda holder: _KEPT_FIRST.index(holder[0])):
        kept.setdefault(pixels, (split, id))
    return {
        index: _twice((split, id), kept[pixels])
        for index, (split, id, pixels) in enumerate(holders)
        if split != kept[pixels][0]
    }


def _twice(one: tuple[str, str], other: tuple[str, str]) -> str:
    places = f"{one[0]} ({one[1]}) and in {other[0]} ({other[1]})"
    return f"the same image is in {places}: a result on it would be meaningless"


def stratified_split(labels: Sequence[int], val_fraction: float, test_fraction: float, seed: int) -> list[str]:
    """A split for every item, drawn separately for each label.

    A fraction above 0 gets at least one item of each label; train keeps at least one. So a label with fewer than three
    items may be missing in a split.
    """
    generator = np.random.default_rng(seed)
    splits = ["train"] * len(labels)
    for label in sorted(set(labels)):
        members = [index for index, value in enumerate(labels) if value == label]
        order = generator.permutation(members)
        val, test = held_out(len(members), val_fraction, test_fraction)
        for split, chosen in (("val", order[:val]), ("test", order[val : val + test])):
            for index in chosen:
                splits[index] = split
    return splits


def held_out(count: int, val_fraction: float, test_fraction: float) -> tuple[int, int]:
    """How many of `count` images go to val and to test: at least one each if its fraction is above 0; at least one
    image is left for train."""
    held = [max(1, round(fraction * count)) if fraction else 0 for fraction in (val_fraction, test_fraction)]
    while sum(held) >= count:
        held[held.index(max(held))] -= 1
    return held[0], held[1]
