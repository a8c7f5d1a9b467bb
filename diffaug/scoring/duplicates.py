"""Near-duplicates: perceptual hashes and the nearest neighbour among other images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import Image

FAR = 64  # distance where there is nothing to compare with
_OUT = FAR + 1


@dataclass(frozen=True)
class Hashes:
    """Ids and 64-bit perceptual hashes, bool (N, 64)."""

    ids: tuple[str, ...]
    bits: np.ndarray


def phash(image: Image.Image) -> np.ndarray:
    """The image's perceptual hash (DCT of its coarse shape) as 64 bits, by the library imagehash."""
    return imagehash.phash(image).hash.ravel()


def hash_all(ids: Sequence[str], images: Iterable[Image.Image]) -> Hashes:
    """The hashes of these images."""
    return Hashes(tuple(ids), np.array([phash(image) for image in images], dtype=bool).reshape(len(ids), 64))


def nearest(bits: np.ndarray, among: Hashes, but: str | None = None) -> tuple[int, str]:
    """Hamming distance in bits (0 to 64) to the nearest hash, and its id; (64, "") where there is none.

    but: an id that does not count.
    """
    distances = (among.bits ^ bits).sum(axis=1)
    if but in among.ids:
        distances[among.ids.index(but)] = _OUT
    return _closest(distances, among.ids)


def nearest_earlier(hashes: Hashes, index: int, families: np.ndarray | None = None) -> tuple[int, str]:
    """`nearest` among the images before this one, so that of two alike the first is kept.

    families: (N,) what each image belongs to, such as the photograph it is made from; its own does not count.
    """
    distances = (hashes.bits[:index] ^ hashes.bits[index]).sum(axis=1)
    if families is not None:
        distances[families[:index] == families[index]] = _OUT
    return _closest(distances, hashes.ids)


def _closest(distances: np.ndarray, ids: Sequence[str]) -> tuple[int, str]:
    if not len(distances) or distances.min() == _OUT:
        return FAR, ""
    closest = int(distances.argmin())
    return int(distances[closest]), ids[closest]
