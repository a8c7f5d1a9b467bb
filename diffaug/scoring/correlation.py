"""Copies by correlation: re-encoded, shifted, mirrored, turned, cropped, noisy, brighter or paler ones, of which a
perceptual hash misses many."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from PIL import Image

from diffaug.dataset.records import Record
from diffaug.params.filter import Neighbours
from diffaug.scoring.material import Columns, Material
from diffaug.scoring.neighbours import Measure, cosine, measure_neighbours, measure_real_neighbours, neighbour_failures

MEASURED_BY: tuple[str, ...] = ()
AUTO = {"min_heldout": 0.05}  # of nine kinds of copies of photographs (benchmarks/copies.py), nearly all are nearer
_SIDE = 32  # pixels at most; sets of smaller images are compared at their own size
_BLUR = 1.0  # pixels, standard deviation; without it, the noise of a noisy copy counts as much as its picture
_FAR = 2.0
_ANGLES = (-3.0, 3.0)  # degrees
_CROPS = (0.95, 0.9)  # of the side
_OFFSETS = (-1, 0, 1)


def measure(material: Material, params: Neighbours) -> Columns:
    """correlation_*: 1 - r, 0 (the same) to 2, to the nearest image; r: the correlation of the grey levels at 32 x 32
    pixels or the images' own size, the highest over shifts by a pixel, turns by 3 degrees, crops of 5 and 10 % of the
    side, mirrored or not."""
    return measure_neighbours(material, between([*material.generated, *material.real["train"], *material.heldout]))


def measure_real(material: Material, params: Neighbours) -> Columns:
    """What real train images have of the thresholds that can be `auto`."""
    return measure_real_neighbours(material, between([*material.train_sample, *material.heldout]))


def between(images: Sequence[Record]) -> Measure:
    """How these images are compared: by grey levels, at a size that half of them have."""
    side = min(_SIDE, int(np.median([min(record.size) for record in images]))) if images else _SIDE
    return Measure("correlation", partial(_signatures, side=side), partial(_views, side=side), cosine, _FAR)


def failures(row: Mapping[str, Any], params: Neighbours) -> Iterator[tuple[str, bool]]:
    """The checks of the image, from its row of the ledger: reason, and whether it fails."""
    return neighbour_failures(row, params, "correlation", "changed copy")


def _signatures(records: Sequence[Record], side: int) -> np.ndarray:
    vectors = [_vector(_levels(record.open(), side)) for record in records]
    return np.array(vectors, dtype=np.float32).reshape(len(records), (side - 2 * _margin(side)) ** 2)


def _views(records: Sequence[Record], side: int) -> Iterator[np.ndarray]:
    undoing = _undoing(side)
    for record in records:
        levels = _levels(record.open(), side)
        yield np.stack(
            [
                _vector(cv2.warpAffine(picture, one, (side, side), borderMode=cv2.BORDER_REPLICATE))
                for picture in (levels, levels[:, ::-1])
                for one in undoing
            ]
        )


def _undoing(side: int) -> list[np.ndarray]:
    """The matrices (2, 3) that undo what a copy may have, none first: shifts, turns, and crops of the middle or of a
    corner."""
    shifts = sorted(((x, y) for x in _OFFSETS for y in _OFFSETS), key=lambda shift: shift != (0, 0))
    corner = side * (1 - _CROPS[0]) / 2
    changes = [
        *((0.0, 1.0, x, y) for x, y in shifts),
        *((angle, 1.0, 0, 0) for angle in _ANGLES),
        *((0.0, crop, 0, 0) for crop in _CROPS),
        *((0.0, _CROPS[0], x, y) for x in (-corner, corner) for y in (-corner, corner)),
    ]
    middle = ((side - 1) / 2, (side - 1) / 2)
    matrices = [cv2.getRotationMatrix2D(middle, angle, crop) for angle, crop, _, _ in changes]
    for matrix, (_, _, x, y) in zip(matrices, changes):
        matrix[:, 2] += np.array([x, y])
    return matrices


def _levels(image: Image.Image, side: int) -> np.ndarray:
    """Blurred grey levels, float32 (side, side)."""
    gray = image.convert("L")
    small = gray if gray.size == (side, side) else gray.resize((side, side), Image.Resampling.BOX)
    return cv2.GaussianBlur(np.asarray(small, dtype=np.float32), (0, 0), _BLUR)


def _margin(side: int) -> int:
    """Pixels at each border that are not compared: a turned or cropped copy lacks them."""
    return round(side / 16)


def _vector(levels: np.ndarray) -> np.ndarray:
    """Without the margin, of mean 0 and length 1; of a picture of one grey level 0."""
    inner = slice(_margin(len(levels)), len(levels) - _margin(len(levels)))
    vector = levels[inner, inner].ravel()
    vector = vector - vector.mean()
    return vector / max(float(np.linalg.norm(vector)), 1.0)
