"""Squares around the objects of a scene."""

from collections.abc import Sequence

from diffaug.pictures.boxes import XYWH, Region


def square(box: XYWH, size: tuple[int, int], context: float) -> Region:
    """The square of `context` times the box's longer side around its middle, shifted into the image of `size` (width,
    height); if a side of the image is shorter than the square, that whole side."""
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
    """Whether the region shares no pixel with the others."""
    return all(
        first[0] >= other[2] or other[0] >= first[2] or first[1] >= other[3] or other[1] >= first[3] for other in others
    )
