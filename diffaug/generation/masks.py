"""Which pixels of a real image are drawn anew: its objects by their boxes or on a plain ground, or all but them."""

import numpy as np
from PIL import Image
from scipy import ndimage

from diffaug.compose import object_mask
from diffaug.records import Record


def find_objects(record: Record) -> np.ndarray | None:
    """bool (H, W): where the record's objects are. By its boxes or, for a classification image, what stands out from a
    plain background; None where the background is not plain or there is no object."""
    image = record.open()
    if record.label is None:
        mask = np.zeros((image.height, image.width), dtype=bool)
        for x, y, width, height in record.bbox:
            left, top = max(0, int(np.floor(x))), max(0, int(np.floor(y)))
            mask[top : int(np.ceil(y + height)), left : int(np.ceil(x + width))] = True
        return mask
    return object_mask(image)


def repaint_mask(objects: np.ndarray, repaint: str, padding: int) -> np.ndarray:
    """bool (H, W): the pixels that may change. `padding`: pixels by which the objects are grown on every side.

    repaint: "background" keeps the grown objects, "object" redraws them.
    """
    size = 2 * padding + 1
    grown = ndimage.maximum_filter(objects, size=size) if padding else objects
    return grown if repaint == "object" else ~grown


def composite(source: Image.Image, drawn: Image.Image, mask: np.ndarray, feather: int) -> Image.Image:
    """`drawn` where the mask is true, `source` elsewhere, pixel for pixel; both "L" or "RGB", of the mask's size.

    Within `feather` pixels of the kept part the two are blended; a kept pixel is never blended.
    """
    alpha = mask.astype(np.float64)
    if feather and not mask.all():
        alpha = np.minimum(1.0, ndimage.distance_transform_edt(mask) / (feather + 1))
    mode = source.mode
    kept, new = np.asarray(source, dtype=np.float64), np.asarray(drawn.convert(mode), dtype=np.float64)
    weight = alpha if kept.ndim == 2 else alpha[..., None]
    return Image.fromarray(np.round(weight * new + (1 - weight) * kept).astype(np.uint8))
