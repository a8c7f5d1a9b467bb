"""Placing cut-out objects on other images: their size, their place, and which of their pixels count as visible."""

from collections.abc import Callable

import numpy as np
from PIL import Image

_VISIBLE = 128  # alpha from which a pixel belongs to the object
_ATTEMPTS = 20


def visible(item: Image.Image) -> np.ndarray:
    """bool (H, W): the pixels of an "LA" or "RGBA" image that belong to the object."""
    return np.asarray(item.getchannel("A")) >= _VISIBLE


def resized(item: Image.Image, factor: float, generator: np.random.Generator) -> Image.Image:
    """The object at `factor` times its size, at least two pixels per side, mirrored with probability 0.5."""
    width, height = (max(2, round(side * factor)) for side in item.size)
    result = item.resize((width, height), Image.Resampling.BILINEAR if factor > 1 else Image.Resampling.BOX)
    return result.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if generator.random() < 0.5 else result


def find_place(
    item: Image.Image,
    scene: tuple[int, int],
    fits: Callable[[int, int], bool],
    generator: np.random.Generator,
    beyond: tuple[int, int] = (0, 0),
) -> tuple[int, int] | None:
    """(left, top) of the first of twenty random places that `fits`, in a scene of (width, height); None if none fits.

    beyond: pixels by which the object may leave the scene to the left and right, and at the top and bottom.
    """
    if not visible(item).any() or item.width > scene[0] or item.height > scene[1]:
        return None
    for _ in range(_ATTEMPTS):
        left = int(generator.integers(-beyond[0], scene[0] - item.width + beyond[0] + 1))
        top = int(generator.integers(-beyond[1], scene[1] - item.height + beyond[1] + 1))
        if fits(left, top):
            return left, top
    return None
