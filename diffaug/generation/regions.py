"""Squares around the objects of a scene, and what a class's boxes have in common."""

from collections.abc import Sequence

import numpy as np

from diffaug.compose import Box
from diffaug.records import ImageSet

Region = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def square(box: Box, size: tuple[int, int], context: float) -> Region:
    """The square of `context` times the box's longer side around its middle, moved into the image of `size` (width,
    height); along a side of the image that is shorter, all of it."""
    x, y, width, height = box
    side = max(1, round(context * max(width, height)))
    left, right = _interval(x + width / 2, side, size[0])
    top, bottom = _interval(y + height / 2, side, size[1])
    return left, top, right, bottom


def _interval(middle: float, side: int, whole: int) -> tuple[int, int]:
    side = min(side, whole)
    start = min(max(0, round(middle - side / 2)), whole - side)
    return start, start + side


def apart(first: Region, others: Sequence[Region]) -> bool:
    """Whether the region has no pixel in common with the others."""
    return all(
        first[0] >= other[2] or other[0] >= first[2] or first[1] >= other[3] or other[1] >= first[3] for other in others
    )


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
