"""A part of the images, to try a run on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from diffaug.dataset.records import SPLITS
from diffaug.sources.labelled import Item, Labelled


def limited(labelled: Labelled, per_class: int | None, seed: int) -> Labelled:
    """At most `per_class` images of each class in each split of the files, chosen at random by the seed.

    With boxes: images in random order, each taken if one of its classes has fewer than `per_class` boxes so far; and
    of the images without a box, the same share as of the others.
    """
    if per_class is None:
        return labelled
    generator = np.random.default_rng(seed)
    kept: list[Item] = []
    for split in SPLITS:
        items = [item for item in labelled.items if item.split == split]
        order = generator.permutation(len(items)).tolist()
        chosen = _enough([items[place] for place in order], per_class)
        kept += [items[place] for place in sorted(order[number] for number in chosen)]
    print(f"download: limit_per_class {per_class}: {len(kept)} of {len(labelled.items)} images are taken")
    return replace(labelled, items=tuple(kept))


def _enough(items: Sequence[Item], per_class: int) -> list[int]:
    counts: Counter[int] = Counter()
    taken, labels = [], [_classes(item) for item in items]
    for number, classes in enumerate(labels):
        if any(counts[one] < per_class for one in classes):
            counts.update(classes)
            taken.append(number)
    empty = [number for number, classes in enumerate(labels) if not classes]
    share = len(taken) / max(1, len(items) - len(empty))
    return taken + empty[: round(share * len(empty))]


def _classes(item: Item) -> list[int]:
    return [thing.category for thing in item.objects] if item.label is None else [item.label]
