"""Statistics of the boxes of a class: how rare it is, how large its objects are."""

import numpy as np

from diffaug.dataset.records import ImageSet


def rarity(train: ImageSet) -> np.ndarray:
    """float (classes,), sum 1: the probability of each class, inversely proportional to its number of boxes."""
    counts = np.bincount([c for record in train for c in record.category], minlength=len(train.names))
    weights = 1 / (counts + 1)
    return weights / weights.sum()


def longer_sides(train: ImageSet) -> list[list[float]]:
    """The longer sides of each class's real boxes in pixels, sorted; for a class without a box those of all classes."""
    sides: list[list[float]] = [[] for _ in train.names]
    for record in train:
        for box, category in zip(record.bbox, record.category):
            sides[category].append(max(box[2:]))
    everything = sorted(side for values in sides for side in values)
    return [sorted(values) or everything for values in sides]
