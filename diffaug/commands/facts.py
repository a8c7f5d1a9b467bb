"""What a user's images are like: counts, sizes, colours, distances between splits, which objects can be cut."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from diffaug.commands.nearness import Nearness, nearness
from diffaug.dataset.records import Record
from diffaug.generation.plan.objects import cut_real, free_objects
from diffaug.segmenting.objects import Objects
from diffaug.sources.real import RealData

_TRIED = 16  # objects of a class that are tried
_ENOUGH = 0.25  # share of them that must be possible to cut


@dataclass(frozen=True)
class Facts:
    """One task's images.

    source: the section of `download` that reads them. counts: train images (detection: boxes) by class. side: the
    median longer side of a train image, in pixels; object: that of the boxes of the class with the smallest ones. gray:
    the share of images without colour. apart: how far train is from val and test. cuttable: classes of which objects
    can be cut out.
    """

    task: str
    source: Mapping[str, Any]
    images: Mapping[str, int]
    counts: Mapping[str, int]
    side: int
    object: int
    gray: float
    apart: Nearness
    cuttable: tuple[str, ...]

    @property
    def imbalance(self) -> float:
        """How many times larger the largest class is than the smallest."""
        return max(self.counts.values()) / max(1, min(self.counts.values()))

    def describe(self) -> str:
        """One line."""
        unit = "boxes" if self.task == "det" else "images"
        listed = ", ".join(f"{name} {count}" for name, count in islice(self.counts.items(), 12))
        more = f", and {len(self.counts) - 12} more classes" if len(self.counts) > 12 else ""
        splits = ", ".join(f"{split} {count}" for split, count in self.images.items())
        colour = "grey" if self.gray > 0.5 else "colour"
        objects = f", the smallest class's objects about {self.object}" if self.task == "det" else ""
        looks = f"{colour}, about {self.side} pixels{objects}"
        return f"{splits} images; train {unit}: {listed}{more}; {looks}; {self.apart.describe()}"


def facts(task: str, source: Mapping[str, Any], data: RealData) -> Facts:
    """Look at the images of one task."""
    train = data.splits["train"]
    labels = Counter(label for record in train for label in (record.category if task == "det" else [record.label]))
    sides: dict[int, list[float]] = {}
    for record in train:
        for box, label in zip(record.bbox, record.category):
            sides.setdefault(label, []).append(max(box[2:]))
    return Facts(
        task,
        source,
        {split: len(data.splits[split]) for split in ("train", "val", "test")},
        {name: labels[number] for number, name in enumerate(data.names)},
        round(float(np.median([max(record.size) for record in train]))),
        round(min((float(np.median(of_class)) for of_class in sides.values()), default=0)),
        sum(record.color == "L" for record in train) / max(1, len(train)),
        nearness(task, data),
        tuple(data.names[label] for label in sorted(_cuttable(train, data.names))),
    )


def _cuttable(train: Sequence[Record], names: Sequence[str]) -> set[int]:
    """The classes of whose first free objects enough can be cut out."""
    tried: Counter[int] = Counter()
    cut: Counter[int] = Counter()
    objects = Objects()
    for record in train:
        for number in free_objects(record):
            label = record.category[number]
            if tried[label] < _TRIED:
                tried[label] += 1
                cut[label] += cut_real(record, number, names, objects) is not None
    return {label for label, count in tried.items() if cut[label] >= max(1, _ENOUGH * count)}
