"""Near-duplicates: perceptual hashes and the nearest neighbour among other images."""

from collections.abc import Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import Image

FAR = 64  # distance where there is nothing to compare with


@dataclass(frozen=True)
class Hashes:
    """Ids and 64-bit perceptual hashes, bool (N, 64)."""

    ids: tuple[str, ...]
    bits: np.ndarray


def phash(image: Image.Image) -> np.ndarray:
    """The image's perceptual hash (DCT of its coarse shape) as 64 bits, by the library imagehash."""
    return imagehash.phash(image).hash.ravel()


def hash_all(ids: Sequence[str], images: Sequence[Image.Image]) -> Hashes:
    """The hashes of these images."""
    return Hashes(tuple(ids), np.array([phash(image) for image in images], dtype=bool).reshape(len(ids), 64))


def nearest(bits: np.ndarray, among: Hashes) -> tuple[int, str]:
    """Hamming distance in bits (0 to 64) to the nearest hash, and its id; (64, "") where there is none."""
    if not among.ids:
        return FAR, ""
    distances = (among.bits ^ bits).sum(axis=1)
    closest = int(distances.argmin())
    return int(distances[closest]), among.ids[closest]


def nearest_earlier(hashes: Hashes, index: int) -> tuple[int, str]:
    """`nearest` among the images before this one, so that of two alike the first is kept."""
    return nearest(hashes.bits[index], Hashes(hashes.ids[:index], hashes.bits[:index]))
