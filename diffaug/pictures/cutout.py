"""Cutting objects out of pictures and placing them on others, with boxes that are exact."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage

Box = tuple[float, float, float, float]  # x, y, width, height in pixels from the top left

_VISIBLE = 128  # alpha from which a pixel belongs to the object
_ATTEMPTS = 20
_GRAB_ROUNDS = 5
_LEAST_OBJECT, _LEAST_OUTLINE = 0.3, 0.5  # of the box
_PLAIN = 0.6  # an object may touch the border: of Fashion-MNIST's train images 99 % pass, at 0.9 half


@dataclass(frozen=True)
class Item:
    """An object as an "LA" or "RGBA" image, alpha 0 outside of it, and its class number."""

    image: Image.Image
    category: int


def overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """Pixels that two boxes (x, y, width, height) share."""
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)


def box_pixels(box: Box) -> tuple[slice, slice]:
    """Rows and columns of every pixel that a box touches."""
    x, y, width, height = box
    left, top = max(0, int(np.floor(x))), max(0, int(np.floor(y)))
    return slice(top, int(np.ceil(y + height))), slice(left, int(np.ceil(x + width)))


def object_mask(image: Image.Image, tolerance: int = 24) -> np.ndarray | None:
    """bool (H, W): the object of a picture with a plain background; None where its background is not plain, or where
    there is nothing but background.

    A background is plain where six in ten border pixels lie within `tolerance` grey levels of their median. The
    object is what differs from it by more than that, holes filled, its largest connected part.
    """
    if not _has_plain_ground(image, tolerance):
        return None
    pixels, ground = _ground(image)
    return _largest(ndimage.binary_fill_holes(np.abs(pixels - ground).max(axis=2) > tolerance))


def cut_out(image: Image.Image, inner: Box | None = None, tolerance: int = 24) -> Image.Image | None:
    """The object of a picture as "LA" or "RGBA": by `object_mask` where the background is plain, else by `cut_from_box`
    with the box `inner` that it fills, or all of the picture without one. None where there is no object."""
    mask = object_mask(image, tolerance)
    if mask is None:
        if _has_plain_ground(image, tolerance):
            return None
        if inner is not None:
            return cut_from_box(image, inner)
        mask = np.ones((image.height, image.width), dtype=bool)
    return _with_alpha(image, mask)


def cut_from_box(image: Image.Image, box: Box) -> Image.Image | None:
    """The object in a box of a photograph, as "LA" or "RGBA"; None where it cannot be told from its surroundings.

    GrabCut (Rother et al. 2004) by OpenCV: what lies outside the box is surely background, what lies inside is object
    where its colours say so. What misses the middle of the box, or is much smaller than it, is not believed to be the
    object.
    """
    left, top = max(0, round(box[0])), max(0, round(box[1]))
    right, bottom = min(image.width, round(box[0] + box[2])), min(image.height, round(box[1] + box[3]))
    if right - left < 2 or bottom - top < 2 or (right - left) * (bottom - top) == image.width * image.height:
        return None
    mask = np.zeros((image.height, image.width), dtype=np.uint8)
    cv2.setRNGSeed(0)  # its colour model starts from random clusters
    bgr = np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
    rectangle = (left, top, right - left, bottom - top)
    cv2.grabCut(bgr, mask, rectangle, np.zeros((1, 65)), np.zeros((1, 65)), _GRAB_ROUNDS, cv2.GC_INIT_WITH_RECT)
    object = _largest(ndimage.binary_fill_holes((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)))
    if object is None or not object[(top + bottom) // 2, (left + right) // 2]:
        return None
    rows, columns = np.flatnonzero(object.any(axis=1)), np.flatnonzero(object.any(axis=0))
    outline = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    area = rectangle[2] * rectangle[3]
    if outline < _LEAST_OUTLINE * area or object.sum() < _LEAST_OBJECT * area:
        return None
    return _with_alpha(image, object)


def _largest(mask: np.ndarray) -> np.ndarray | None:
    """The largest connected part, None where there is none."""
    parts, count = ndimage.label(mask)
    return parts == int(np.argmax(np.bincount(parts.ravel())[1:])) + 1 if count else None


def _with_alpha(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """The pixels of the mask with the rest transparent, cropped to them."""
    cut = image.convert("LA" if image.mode == "L" else "RGBA")
    cut.putalpha(Image.fromarray(mask.astype(np.uint8) * 255))
    return cut.crop(cut.getchannel("A").getbbox())


def _ground(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """The pixels, int16 (H, W, 3), and the median colour of the border."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.int16)
    return pixels, np.median(_border(pixels), axis=0)


def _has_plain_ground(image: Image.Image, tolerance: int) -> bool:
    pixels, ground = _ground(image)
    return bool((np.abs(_border(pixels) - ground).max(axis=1) <= tolerance).mean() >= _PLAIN)


def _border(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def place(
    scene: Image.Image,
    item: Item,
    boxes: Sequence[Box],
    scale: tuple[float, float],
    max_overlap: float,
    generator: np.random.Generator,
) -> tuple[Image.Image, Box] | None:
    """The scene ("L" or "RGB") with the item on it, whole, and the item's box from its own visible pixels.

    The item is scaled by a factor drawn from `scale` and mirrored in half the cases. It covers at most the fraction
    `max_overlap` of any box in `boxes`, and none covers more of it. None where twenty draws found no such place.
    """
    factor = generator.uniform(*scale)
    size = tuple(max(2, round(side * factor)) for side in item.image.size)
    pasted = item.image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    if generator.random() < 0.5:
        pasted = pasted.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    visible = Image.fromarray((np.asarray(pasted.getchannel("A")) >= _VISIBLE).astype(np.uint8)).getbbox()
    if visible is None or pasted.width > scene.width or pasted.height > scene.height:
        return None
    for _ in range(_ATTEMPTS):
        left = int(generator.integers(scene.width - pasted.width + 1))
        top = int(generator.integers(scene.height - pasted.height + 1))
        box = (left + visible[0], top + visible[1], visible[2] - visible[0], visible[3] - visible[1])
        if all(_covered(box, other) <= max_overlap for other in boxes):
            result = scene.copy()
            result.paste(pasted.convert(scene.mode), (left, top), pasted.getchannel("A"))
            return result, (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    return None


def _covered(first: Sequence[float], second: Sequence[float]) -> float:
    """The intersection's share of the smaller box, 0 to 1."""
    return overlap(first, second) / min(first[2] * first[3], second[2] * second[3])
