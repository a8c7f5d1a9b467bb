"""Cutting objects out of images."""

import numpy as np
from PIL import Image
from scipy import ndimage

from diffaug.pictures import grabcut
from diffaug.pictures.boxes import XYWH, outline

_LEAST_OBJECT, _LEAST_OUTLINE = 0.3, 0.5  # smallest shares of the box
_LEAST_OF_IMAGE, _MOST_OF_IMAGE = 0.05, 0.9
_PLAIN = 0.6  # an object may touch the border; 99 % of Fashion-MNIST's train images pass, with 0.9 only half


def object_mask(image: Image.Image, tolerance: int = 24) -> np.ndarray | None:
    """bool (H, W): the object of an image with a plain background; None if the background is not plain, or if there is
    only background.

    A background is plain if six in ten border pixels are within `tolerance` grey levels of their median. The object is
    the area that differs from it by more than that: its largest connected part, with holes filled.
    """
    if not has_plain_ground(image, tolerance):
        return None
    pixels, ground = _ground(image)
    return grabcut.largest(ndimage.binary_fill_holes(np.abs(pixels - ground).max(axis=2) > tolerance))


def cut_out(image: Image.Image, tolerance: int = 24) -> Image.Image | None:
    """The object of an image as "LA" or "RGBA": by `object_mask` if the background is plain, otherwise the whole image.
    None if there is no object."""
    mask = object_mask(image, tolerance)
    if mask is None:
        if has_plain_ground(image, tolerance):
            return None
        mask = np.ones((image.height, image.width), dtype=bool)
    return with_alpha(image, mask)


def object_in_box(mask: np.ndarray, box: XYWH) -> np.ndarray | None:
    """bool (H, W): the object in a mask of what fills the box: its largest connected part in the box, with holes
    filled. None if it misses the middle of the box, or is much smaller than the box: it is not accepted as the object.
    """
    left, top, right, bottom = grabcut.inside(box, mask.shape[::-1])
    if right - left < 2 or bottom - top < 2:
        return None
    clipped = np.zeros_like(mask)
    clipped[top:bottom, left:right] = mask[top:bottom, left:right]
    object = grabcut.largest(ndimage.binary_fill_holes(clipped))
    if object is None or not object[(top + bottom) // 2, (left + right) // 2]:
        return None
    _, _, width, height = outline(object)
    area = (right - left) * (bottom - top)
    return object if width * height >= _LEAST_OUTLINE * area and object.sum() >= _LEAST_OBJECT * area else None


def object_in_image(mask: np.ndarray) -> np.ndarray | None:
    """bool (H, W): the object in a mask of what an image shows: its largest connected part, with holes filled. None if
    the middle of the image is outside of its box, or if it is below 5 % or above 90 % of the image."""
    object = grabcut.largest(ndimage.binary_fill_holes(mask))
    if object is None or not _LEAST_OF_IMAGE <= object.mean() <= _MOST_OF_IMAGE:
        return None
    left, top, width, height = outline(object)
    down, across = (side / 2 for side in mask.shape)
    return object if left <= across <= left + width and top <= down <= top + height else None


def with_alpha(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """The pixels of the mask as "LA" or "RGBA", the rest transparent, cropped to the mask."""
    cut = image.convert("LA" if image.mode == "L" else "RGBA")
    cut.putalpha(Image.fromarray(mask.astype(np.uint8) * 255))
    return cut.crop(cut.getchannel("A").getbbox())


def has_plain_ground(image: Image.Image, tolerance: int = 24) -> bool:
    """Whether six in ten border pixels are within `tolerance` grey levels of their median."""
    pixels, ground = _ground(image)
    return bool((np.abs(_border(pixels) - ground).max(axis=1) <= tolerance).mean() >= _PLAIN)


def _ground(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """The pixels, int16 (H, W, 3), and the median colour of the border."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.int16)
    return pixels, np.median(_border(pixels), axis=0)


def _border(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
