"""What every source gives: records by split, and the check that no image stands in two of them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from diffaug.errors import UserError
from diffaug.records import Record


@dataclass(frozen=True)
class RealData:
    """Class names and the records of train, val, test and, where images are left over, pool."""

    names: tuple[str, ...]
    splits: dict[str, tuple[Record, ...]]


def check_classes(data: RealData, where: str) -> None:
    """Raises UserError where a class has no image (or no box) in train, val or test."""
    for split in ("train", "val", "test"):
        records = data.splits[split]
        seen = {record.label for record in records} | {number for record in records for number in record.category}
        for number, name in enumerate(data.names):
            if number not in seen:
                raise UserError(
                    f"{where}: class {name!r} has no image in {split}; add some, or remove the class from the data"
                )


def check_disjoint(sets: Iterable[tuple[str, Sequence[Record]]]) -> None:
    """Raises UserError, naming both, where the same pixels stand in two splits, or in the pool and a split.

    sets: pairs of a split's name and its records; a split may come more than once (one a task).
    """
    seen: dict[str, tuple[str, str]] = {}
    for split, records in sets:
        for record in records:
            image = record.open()
            pixels = hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()
            other = seen.setdefault(pixels, (split, record.id))
            if other[0] != split:
                raise UserError(
                    f"the same image stands in {other[0]} ({other[1]}) and in {split} ({record.id}): "
                    "a result on it would mean nothing; remove one of the two"
                )


def stratified_split(labels: Sequence[int], val_fraction: float, test_fraction: float, seed: int) -> list[str]:
    """A split for every item, drawn label by label.

    A fraction above 0 gets at least one item of each label; train keeps at least one, so a label of fewer than three
    items may miss a split.
    """
    generator = np.random.default_rng(seed)
    splits = ["train"] * len(labels)
    for label in sorted(set(labels)):
        members = [index for index, value in enumerate(labels) if value == label]
        order = generator.permutation(members)
        held = [max(1, round(fraction * len(members))) if fraction else 0 for fraction in (val_fraction, test_fraction)]
        while sum(held) >= len(members):
            held[held.index(max(held))] -= 1
        for split, chosen in (("val", order[: held[0]]), ("test", order[held[0] : sum(held)])):
            for index in chosen:
                splits[index] = split
    return splits
