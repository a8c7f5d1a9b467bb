"""Paints boxes grey if the audit asks for it."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record
from diffaug.pictures.boxes import XYWH, pixels_of

_GREY = 114  # the colour with which Ultralytics pads images


def paint_over(record: Record, boxes: Sequence[XYWH]) -> Record:
    """The scene with these boxes grey, except for pixels in labelled boxes: a possible object without a label is then
    neither object nor background."""
    if not boxes:
        return record
    pixels = np.array(record.open())
    hidden = np.zeros(pixels.shape[:2], dtype=bool)
    for box in boxes:
        hidden[pixels_of(box)] = True
    for box in record.bbox:
        hidden[pixels_of(box)] = False
    pixels[hidden] = _GREY
    data = encode_png(Image.fromarray(pixels))
    return replace(record, image=data, sha256=hashlib.sha256(data).hexdigest())
