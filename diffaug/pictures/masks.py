"""Which pixels of a real image are redrawn: its objects, or all others."""

import numpy as np
from PIL import Image
from scipy import ndimage

from diffaug.dataset.records import Record
from diffaug.pictures.boxes import Region, pixels_of


def boxed(record: Record) -> np.ndarray:
    """bool (H, W): the pixels in the boxes of a scene."""
    mask = np.zeros(record.size[::-1], dtype=bool)
    for box in record.bbox:
        mask[pixels_of(box)] = True
    return mask


def part_mask(record: Record, mode: str, region: Region, object: int, padding: int) -> np.ndarray:
    """bool (H, W): the pixels of a real scene that a mode of `generate.det` may change in a region.

    img2img: the whole region; inpaint_background: all except the boxes, grown by `padding` pixels; inpaint_object: box
    number `object`, except where other boxes overlap it.
    """
    mask = np.zeros(record.size[::-1], dtype=bool)
    left, top, right, bottom = region
    mask[top:bottom, left:right] = True
    if mode == "inpaint_background":
        return mask & repaint_mask(boxed(record), "background", padding)
    if mode == "inpaint_object":
        own = np.zeros_like(mask)
        own[pixels_of(record.bbox[object])] = True
        for number, box in enumerate(record.bbox):
            if number != object:
                own[pixels_of(box)] = False
        return mask & own
    return mask


def put_back(source: Image.Image, drawn: Image.Image, region: Region, mask: np.ndarray, feather: int) -> Image.Image:
    """The scene `source` with `drawn` in the region where the scene's `mask` is true: see `composite`. There is also a
    soft edge along the region's own border, except at the scene's border."""
    left, top = max(0, region[0] - 1), max(0, region[1] - 1)
    right, bottom = min(source.width, region[2] + 1), min(source.height, region[3] + 1)
    kept = source.crop((left, top, right, bottom))
    new = kept.copy()
    new.paste(drawn, (region[0] - left, region[1] - top))
    whole = composite(kept, new, mask[top:bottom, left:right], feather)
    return whole.crop((region[0] - left, region[1] - top, region[2] - left, region[3] - top))


def repaint_mask(objects: np.ndarray, repaint: str, padding: int) -> np.ndarray:
    """bool (H, W): the pixels that may change. `padding`: pixels by which the objects are enlarged on every side.

    repaint: "background" keeps the enlarged objects, "object" redraws them.
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
