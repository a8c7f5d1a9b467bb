"""Cutting objects out of images."""

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage

from diffaug.pictures.boxes import XYWH, outline

_GRAB_ROUNDS = 5
_LEAST_OBJECT, _LEAST_OUTLINE = 0.3, 0.5  # smallest shares of the box
_PLAIN = 0.6  # an object may touch the border; 99 % of Fashion-MNIST's train images pass, with 0.9 only half


def object_mask(image: Image.Image, tolerance: int = 24) -> np.ndarray | None:
    """bool (H, W): the object of an image with a plain background; None if the background is not plain, or if there is
    only background.

    A background is plain if six in ten border pixels are within `tolerance` grey levels of their median. The object is
    the area that differs from it by more than that: its largest connected part, with holes filled.
    """
    if not _has_plain_ground(image, tolerance):
        return None
    pixels, ground = _ground(image)
    return _largest(ndimage.binary_fill_holes(np.abs(pixels - ground).max(axis=2) > tolerance))


def cut_out(image: Image.Image, inner: XYWH | None = None, tolerance: int = 24) -> Image.Image | None:
    """The object of an image as "LA" or "RGBA": by `object_mask` if the background is plain, otherwise by
    `cut_from_box` with the box `inner` that it fills, or with the whole image. None if there is no object."""
    mask = object_mask(image, tolerance)
    if mask is None:
        if _has_plain_ground(image, tolerance):
            return None
        if inner is not None:
            return cut_from_box(image, inner)
        mask = np.ones((image.height, image.width), dtype=bool)
    return _with_alpha(image, mask)


def cut_from_box(image: Image.Image, box: XYWH) -> Image.Image | None:
    """The object in a box of a photograph, as "LA" or "RGBA"; None if it cannot be separated from its surroundings.

    GrabCut (Rother et al. 2004) by OpenCV: all outside the box is background; inside the box, colours decide what is
    object. A result that misses the middle of the box, or is much smaller than the box, is not accepted as the object.
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
    _, _, width, height = outline(object)
    area = rectangle[2] * rectangle[3]
    if width * height < _LEAST_OUTLINE * area or object.sum() < _LEAST_OBJECT * area:
        return None
    return _with_alpha(image, object)


def _largest(mask: np.ndarray) -> np.ndarray | None:
    """The largest connected part, None if there is none."""
    parts, count = ndimage.label(mask)
    return parts == int(np.argmax(np.bincount(parts.ravel())[1:])) + 1 if count else None


def _with_alpha(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """The pixels of the mask, the rest transparent, cropped to the mask."""
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
