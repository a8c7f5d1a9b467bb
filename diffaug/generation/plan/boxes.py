"""What the boxes of a class have in common: how rare it is, how large its objects are."""

import numpy as np

from diffaug.dataset.records import ImageSet


def rarity(train: ImageSet) -> np.ndarray:
    """float (classes,), sum 1: each class's chance where rare ones come more often, inverse to its number of boxes."""
    counts = np.bincount([c for record in train for c in record.category], minlength=len(train.names))
    weights = 1 / (counts + 1)
    return weights / weights.sum()


def longer_sides(train: ImageSet) -> list[list[float]]:
    """Each class's longer sides of its real boxes in pixels, sorted; a class without a box takes those of all."""
    sides: list[list[float]] = [[] for _ in train.names]
    for record in train:
        for box, category in zip(record.bbox, record.category):
            sides[category].append(max(box[2:]))
    everything = sorted(side for values in sides for side in values)
    return [sorted(values) or everything for values in sides]
