"""Copies by perceptual hash, which describes the coarse shape of an image; also mirrored copies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import ImageOps

from diffaug.dataset.records import Record
from diffaug.params.filter import Neighbours
from diffaug.pictures.hashing import phash
from diffaug.scoring.material import Columns, Material
from diffaug.scoring.neighbours import Measure, measure_neighbours, measure_real_neighbours, neighbour_failures

MEASURED_BY: tuple[str, ...] = ()
AUTO = {"min_heldout": 8}
_BITS = 64


def measure(material: Material, params: Neighbours) -> Columns:
    """hash_*: bits, 0 to 64, that differ from the nearest image's hash."""
    return measure_neighbours(material, between())


def measure_real(material: Material, params: Neighbours) -> Columns:
    """What real train images have of the thresholds that can be `auto`."""
    return measure_real_neighbours(material, between())


def between(images: Sequence[Record] = ()) -> Measure:
    """How images are compared: by bits."""
    return Measure("hash", _signatures, _views, _differing, _BITS)


def failures(row: Mapping[str, Any], params: Neighbours) -> Iterator[tuple[str, bool]]:
    """The checks of the image, from its row of the ledger: reason, and whether it fails."""
    return neighbour_failures(row, params, "hash", "copy")


def _signatures(records: Sequence[Record]) -> np.ndarray:
    return np.array([phash(record.open()) for record in records], dtype=bool).reshape(len(records), _BITS)


def _views(records: Sequence[Record]) -> Iterator[np.ndarray]:
    for record in records:
        image = record.open()
        yield np.stack([phash(image), phash(ImageOps.mirror(image))])


def _differing(views: np.ndarray, among: np.ndarray) -> np.ndarray:
    return (views[:, None] ^ among[None]).sum(axis=2).min(axis=0)
