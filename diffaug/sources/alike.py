"""Photographs that look alike: versions of one photograph, and frames of one video."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from diffaug.pictures.hashing import phash

# Set on BCCD and CIFAR-10: photographs that were scaled, brightened, compressed or cropped by 2 % pass; of all others,
# one pair among 364 images and two among 5000 do. One bound alone does not suffice: images of one class often have
# similar hashes, and two skies the same thumbnail.
_BITS = 8  # of 64, that may differ
_CORRELATION = 0.96  # of the thumbnails, at least
_SIDE, _FLAT = 16, 8.0  # of the thumbnail in pixels; grey levels: below, there is nothing to compare
_BLOCKS = _BITS + 1  # two hashes that differ in fewer bits are the same in one of these parts
_MANY = 500  # images compared at once
_NEXT = 20  # pairs of an image with later ones, at most, in one such part: frames of a fixed camera all look alike


@dataclass(frozen=True)
class Look:
    """The hash of an image, and its thumbnail in colour as a vector of mean 0 and length 1."""

    bits: np.ndarray
    thumbnail: np.ndarray


def look(image: Image.Image) -> Look | None:
    """What two images are compared by; None if the image is flat."""
    small = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float32)
    if small.std(axis=(0, 1)).max() < _FLAT:
        return None
    vector = (small - small.mean()).ravel()
    return Look(phash(image), (vector / np.linalg.norm(vector)).astype(np.float16))


def alike(looks: Sequence[Look | None]) -> Iterator[tuple[int, int]]:
    """Pairs of places, sorted, whose images look alike: all of them, but of an image that looks like many others, the
    pairs with the next ones, which join these too."""
    places = [place for place, one in enumerate(looks) if one is not None]
    if not places:
        return
    known = [one for one in looks if one is not None]
    bits, thumbnails = np.stack([one.bits for one in known]), np.stack([one.thumbnail for one in known])
    # Vectors of 1 and -1: their product is 64, less 2 for each bit that differs.
    signs = np.where(bits, np.float32(1), np.float32(-1))
    found = [np.empty((0, 2), dtype=int)]
    for block in np.array_split(np.arange(bits.shape[1]), _BLOCKS):
        same: dict[bytes, list[int]] = defaultdict(list)
        for index, key in enumerate(np.packbits(bits[:, block], axis=1)):
            same[key.tobytes()].append(index)
        found += [_close(np.array(members), signs, thumbnails) for members in same.values() if len(members) > 1]
    for one, other in np.unique(np.concatenate(found), axis=0).tolist():
        yield places[one], places[other]


def _close(members: np.ndarray, signs: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
    """(N, 2): pairs of members that look alike, the smaller first. members: sorted."""
    vectors, hashes = thumbnails[members].astype(np.float32), signs[members]
    found = []
    for start in range(0, len(members), _MANY):
        part = slice(start, start + _MANY)
        near = (vectors[part] @ vectors.T >= _CORRELATION) & (hashes[part] @ hashes.T >= hashes.shape[1] - 2 * _BITS)
        near = np.triu(near, start + 1)  # each pair once
        rows, columns = np.nonzero(near & (near.cumsum(axis=1) <= _NEXT))
        found.append(np.stack([members[start + rows], members[columns]], axis=1))
    return np.concatenate(found)
