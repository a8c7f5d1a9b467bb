"""A few images per class of a published classification set, and a pool of further ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffaug.dataset.codec import decode, encode_png, read_file
from diffaug.dataset.records import SPLITS, Record, make_record
from diffaug.hub.seen import Seen
from diffaug.params.download import FewShot, Torchvision
from diffaug.pictures.hashing import pixel_hash
from diffaug.runtime.errors import UserError
from diffaug.sources.near import Known
from diffaug.sources.published import SETS, Row, open_parts
from diffaug.sources.real import HELD_OUT, Inputs, RealData


def read_cls(source: Torchvision, inputs: Inputs) -> RealData:
    """A few images per class of the set that the params name."""
    return few_shot(source, source.name, inputs)


def few_shot(params: FewShot, name: str, inputs: Inputs) -> RealData:
    """Test from the official test images if the set has them; train, val and pool from the others.

    Only images that may be chosen are opened. Images that occur twice are used once, and those that the generator knows
    come neither into val nor into test; nor do near copies of them, if the set's files are arrays, which are compared
    fast. Raises UserError if the files cannot be downloaded, or have fewer images than asked for.
    """
    row = SETS[name]
    if params.train_files is not None and row.test is None:
        raise UserError(f"download.cls.train_files: {name} has no test images of its own; leave it out")
    trains, test = open_parts(row, name, inputs.work)
    names = tuple(map(str, row.names(trains[0])))
    draw = partial(_draw, row, name, len(names), (trains, test), params, inputs)
    splits = draw(set())
    if inputs.known.trained and row.files is None:
        known = Known((part[index][0] for part in trains for index in range(len(part))), inputs.known)
        looked_at: set[str] = set()
        copies: set[str] = set()
        while found := known.copies([one for split in HELD_OUT for one in splits[split] if one.id not in looked_at]):
            looked_at |= {one.id for split in HELD_OUT for one in splits[split]}
            copies |= found
            splits = draw(copies)
        if copies:
            print(
                f"download: {len(copies)} images of val and test are nearly the same as images on which "
                f"{inputs.known.name} was trained; others were drawn"
            )
    return RealData(names, {split: tuple(records) for split, records in splits.items()})


def _draw(
    row: Row,
    name: str,
    classes: int,
    files: tuple[list[Any], Any],
    params: FewShot,
    inputs: Inputs,
    copies: set[str],
) -> dict[str, list[Record]]:
    """The records of every split. copies: pixel hashes of images that come neither into val nor into test."""
    trains, test = files
    generator = np.random.default_rng(inputs.seed)
    seen: set[str] = set()
    # Test is drawn first, so that a change of the number of train images does not change it.
    held = {"test": params.test_per_class}
    rest = {"val": params.val_per_class, "train": params.train_per_class}
    train_ids, test_ids = row.ids or (f"{name}-train-{{:06d}}", f"{name}-test-{{:06d}}")
    choices: list[tuple[list[Any], dict[str, int], int, str, list[int] | None]]
    if test is None:
        choices = [(trains, held | rest, params.pool, f"{name}-all-{{:06d}}", None)]
    else:
        choices = [([test], held, 0, test_ids, None), (trains, rest, params.pool, train_ids, params.train_files)]
    splits: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for parts, wanted, pool, ids, numbers in choices:
        choice = _Choice(row, name, parts, ids, classes, seen, inputs.known, copies, numbers)
        splits |= choice.take(wanted, pool, generator)
    return splits


@dataclass(frozen=True)
class _Choice:
    row: Row
    name: str
    parts: Sequence[Any]
    ids: str
    classes: int
    seen: set[str]
    known: Seen
    copies: set[str]
    numbers: Sequence[int] | None  # the first and the end of those that may be drawn

    def take(self, wanted: dict[str, int], pool: int, generator: np.random.Generator) -> dict[str, list[Record]]:
        """The wanted number of images per class by split, then `pool` of the rest, of any class."""
        places = [(part, index, int(label)) for part in self.parts for index, label in enumerate(self.row.labels(part))]
        first, end = self.numbers or (0, len(places))
        end = min(end, len(places))
        need = {(split, label): count for split, count in wanted.items() for label in range(self.classes)}
        taken: dict[str, list[Record]] = {split: [] for split in [*wanted, *(["pool"] if pool else [])]}
        for number in (first + generator.permutation(max(0, end - first))).tolist():
            part, index, label = places[number]
            split = next((split for split in wanted if need[split, label] > 0), "pool")
            if split == "pool" and len(taken.get("pool", ())) >= pool:
                continue
            data = self._bytes(part, index)
            pixels = pixel_hash(decode(data, self.name))
            if pixels in self.seen or (split in HELD_OUT and (pixels in self.known or pixels in self.copies)):
                continue
            self.seen.add(pixels)
            taken[split].append(make_record(self.ids.format(number), data, split, label=label))
            if split != "pool":
                need[split, label] -= 1
        self._enough(need, wanted, pool, taken, max(0, end - first))
        return taken

    def _bytes(self, part: Any, index: int) -> bytes:
        if self.row.files is not None:
            return read_file(Path(self.row.files(part, index)))
        return encode_png(part[index][0])

    def _enough(
        self,
        need: dict[tuple[str, int], int],
        wanted: dict[str, int],
        pool: int,
        taken: dict[str, list[Record]],
        there: int,
    ) -> None:
        if any(need.values()) or len(taken.get("pool", ())) < pool:
            asked = ", ".join(f"{split}_per_class {count}" for split, count in wanted.items())
            raise UserError(
                f"download.cls: {asked} and pool {pool} need more than the {there} images of {self.name}; lower them"
            )
