"""Copies by pixels: re-encoded, slightly shifted or mirrored; hashes and networks cannot separate these from images
that are only similar."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from diffaug.dataset.records import Record
from diffaug.params.filter import Neighbours
from diffaug.scoring.material import Columns, Material
from diffaug.scoring.neighbours import Measure, measure_neighbours, neighbour_failures

MEASURED_BY: tuple[str, ...] = ()
_SIDE = 32  # pixels at most; smaller images are compared at their own size
_SHIFT = 2
_FAR = 255.0


def measure(material: Material, params: Neighbours) -> Columns:
    """pixels_*: the root mean square of the differences in grey levels (0 to 255) to the nearest image, at 32 x 32
    pixels or the images' own size, after the best shift by up to 2 pixels, mirrored or not."""
    return measure_neighbours(material, between([*material.generated, *material.real["train"], *material.heldout]))


def between(images: Sequence[Record]) -> Measure:
    """How these images are compared: by grey levels, at a size that the smallest has."""
    side = min([_SIDE, *(min(record.size) for record in images)])
    return Measure("pixels", partial(_signatures, side=side), partial(_views, side=side), _rms, _FAR)


def failures(row: Mapping[str, Any], params: Neighbours) -> Iterator[tuple[str, bool]]:
    """The checks of the image, from its row of the ledger: reason, and whether it fails."""
    return neighbour_failures(row, params, "pixels", "shifted copy")


def _levels(image: Image.Image, side: int) -> np.ndarray:
    """Grey levels around 0, float32 (side, side)."""
    gray = image.convert("L")
    small = gray if gray.size == (side, side) else gray.resize((side, side), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) - 128


def _signatures(records: Sequence[Record], side: int) -> np.ndarray:
    inner = slice(_SHIFT, side - _SHIFT)
    levels = [_levels(record.open(), side)[inner, inner].ravel() for record in records]
    return np.array(levels, dtype=np.float32).reshape(len(records), (side - 2 * _SHIFT) ** 2)


def _views(records: Sequence[Record], side: int) -> Iterator[np.ndarray]:
    window = side - 2 * _SHIFT
    shifts = sorted(range(2 * _SHIFT + 1), key=lambda shift: abs(shift - _SHIFT))  # no shift first
    for record in records:
        image = record.open()
        pictures = _levels(image, side), _levels(ImageOps.mirror(image), side)
        yield np.stack(
            [picture[y : y + window, x : x + window].ravel() for picture in pictures for y in shifts for x in shifts]
        )


def _rms(views: np.ndarray, among: np.ndarray) -> np.ndarray:
    squares = (views**2).sum(axis=1)[:, None] + (among**2).sum(axis=1)[None] - 2 * views @ among.T
    return np.sqrt(np.maximum(squares.min(axis=0, initial=np.inf), 0) / views.shape[1])
