"""Separating an object from its surroundings by their colours: GrabCut (Rother et al. 2004) by OpenCV."""

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage

from diffaug.pictures.boxes import XYWH

_ROUNDS = 5
# For an object in the middle of an image, of which nothing else is known.
_SIDE = 128  # pixels at which it is looked for: at 32, most masks are empty; at 256, it takes eight times as long
_STARTS = (0.5, 0.65, 0.8)  # the ellipse that may be object at first, as a share of the image's width and height
_BORDER = 0.06  # share of the side at the border that is background
_AGREE = 0.85  # smallest IoU of the masks from two starts
_LEAST, _MOST = 0.15, 0.75  # shares of the image; what is smaller is mostly a part of the object
_MIDDLE, _COVERED = 0.25, 0.5  # the rectangle in the middle, as a share of the side, and how much of it is object
_CUT_OFF = 0.1  # share of the border's inner edge that is object; above it the object goes on in the border


def in_box(image: Image.Image, box: XYWH) -> np.ndarray | None:
    """bool (H, W): the pixels in the box that have other colours than the surroundings; None if the box has no pixel,
    or nothing is outside of it.

    All outside the box is background; inside the box, colours decide what is object.
    """
    left, top, right, bottom = inside(box, image.size)
    if right - left < 2 or bottom - top < 2 or (right - left) * (bottom - top) == image.width * image.height:
        return None
    start = np.full((image.height, image.width), cv2.GC_BGD, dtype=np.uint8)
    start[top:bottom, left:right] = cv2.GC_PR_FGD
    return _grab(image, start)


def in_middle(image: Image.Image) -> np.ndarray | None:
    """bool (H, W): the object in the middle of a photograph; None if it is not clear.

    It is clear if three starts, in which a smaller or larger ellipse may be object, end with nearly the same mask, and
    if this covers the middle, is neither small nor nearly all, and ends before the border.
    """
    factor = _SIDE / max(image.size)
    width, height = (max(8, round(side * factor)) for side in image.size)
    small = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    found: list[np.ndarray] = []
    for ellipse in _STARTS:
        mask = largest(ndimage.binary_fill_holes(_grab(small, _start(width, height, ellipse))))
        if mask is None or any(_iou(mask, other) < _AGREE for other in found):
            return None
        found.append(mask)
    mask = np.logical_or.reduce(found)
    if not _is_clear(mask):
        return None
    back = Image.fromarray(mask.astype(np.uint8) * 255).resize(image.size, Image.Resampling.BILINEAR)
    return np.asarray(back) >= 128


def inside(box: XYWH, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the box in whole pixels, rounded, without what is outside an image of (width,
    height)."""
    x, y, width, height = box
    return max(0, round(x)), max(0, round(y)), min(size[0], round(x + width)), min(size[1], round(y + height))


def largest(mask: np.ndarray) -> np.ndarray | None:
    """The largest connected part, None if there is none."""
    parts, count = ndimage.label(mask)
    return parts == int(np.argmax(np.bincount(parts.ravel())[1:])) + 1 if count else None


def _grab(image: Image.Image, start: np.ndarray) -> np.ndarray:
    """bool (H, W), from a start of OpenCV's four values (uint8)."""
    mask = start.copy()
    cv2.setRNGSeed(0)  # its colour model starts from random clusters
    bgr = np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
    unused = (0, 0, 1, 1)  # a rectangle, which the mask replaces
    cv2.grabCut(bgr, mask, unused, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def _start(width: int, height: int, ellipse: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    from_middle = np.hypot((x - (width - 1) / 2) / (width / 2), (y - (height - 1) / 2) / (height / 2))
    start = np.full((height, width), cv2.GC_BGD, dtype=np.uint8)
    inner = _inner(start)
    inner[...] = np.where(_inner(from_middle) < ellipse, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    return start


def _inner(array: np.ndarray) -> np.ndarray:
    """What is not the border, a view."""
    down, across = (max(1, round(_BORDER * side)) for side in array.shape)
    return array[down:-down, across:-across]


def _is_clear(mask: np.ndarray) -> bool:
    height, width = mask.shape
    down, across = (round(side * (1 - _MIDDLE) / 2) for side in mask.shape)
    inner = _inner(mask)
    edge = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    middle = mask[down : height - down, across : width - across]
    return bool(
        _LEAST <= mask.mean() <= _MOST and middle.mean() >= _COVERED and edge.mean() <= _CUT_OFF  # of booleans: shares
    )


def _iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())
