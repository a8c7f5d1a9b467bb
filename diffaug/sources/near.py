"""Near copies of images that a generator knows: shifted, mirrored, encoded again, brighter or paler ones."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from PIL import Image

from diffaug.dataset.records import Record
from diffaug.hub.seen import Seen
from diffaug.pictures.hashing import pixel_hash

_SIDE = 13  # pixels; the vectors of smaller pictures are compared faster, and forgive more
_BLUR = 1.0  # pixels, standard deviation
_SHIFTS = (-1, 0, 1)  # pixels
_MANY = 100  # images compared at once
# 1 - r. Of copies of Fashion-MNIST's images that were encoded again, noisy or brighter, at least 95 of 100 are nearer,
# of those shifted by a pixel more than half; of its test images, 8 of 600 are so near to a training image.
_NEAR = 0.002


class Known:
    """The images of a set on which a generator was trained, to be compared with others."""

    def __init__(self, images: Iterable[Image.Image], known: Seen) -> None:
        vectors = [_vector(_levels(image)[1:-1, 1:-1]) for image in images if pixel_hash(image) in known]
        self._vectors = np.array(vectors, dtype=np.float32).reshape(len(vectors), _SIDE**2)

    def nearest(self, images: Sequence[Image.Image]) -> np.ndarray:
        """1 - r of each image to the nearest known one, 0 (the same) to 2, float32 (N,): r is the correlation of the
        grey levels, the highest over shifts by a pixel, mirrored or not."""
        found = [np.empty(0, np.float32)]
        for start in range(0, len(images), _MANY):
            views = np.stack([_views(image) for image in images[start : start + _MANY]])
            nearest = (views.reshape(-1, _SIDE**2) @ self._vectors.T).max(axis=1, initial=-1.0)
            found.append(1 - nearest.reshape(len(views), -1).max(axis=1))
        return np.concatenate(found)

    def copies(self, records: Sequence[Record]) -> set[str]:
        """The `pixel_hash` of each record that is nearly one of the known images."""
        images = [record.open() for record in records]
        return {pixel_hash(image) for image, near in zip(images, self.nearest(images) < _NEAR) if near}


def _views(image: Image.Image) -> np.ndarray:
    """The inner pixels, shifted: without the border, which a shifted copy has lost."""
    levels = _levels(image)
    height, width = levels.shape
    shifted = [levels[1 + y : height - 1 + y, 1 + x : width - 1 + x] for x in _SHIFTS for y in _SHIFTS]
    return np.stack([_vector(view) for one in shifted for view in (one, one[:, ::-1])])


def _levels(image: Image.Image) -> np.ndarray:
    return cv2.GaussianBlur(np.asarray(image.convert("L"), dtype=np.float32), (0, 0), _BLUR)


def _vector(levels: np.ndarray) -> np.ndarray:
    """Of mean 0 and length 1; of a picture of one grey level 0."""
    small = cv2.resize(np.ascontiguousarray(levels), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel()
    small = small - small.mean()
    return small / max(float(np.linalg.norm(small)), 1.0)
