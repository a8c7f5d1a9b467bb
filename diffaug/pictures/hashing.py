"""Hashes of what an image shows, so that two versions of one photograph have similar ones."""

import imagehash
import numpy as np
from PIL import Image


def phash(image: Image.Image) -> np.ndarray:
    """The image's perceptual hash (DCT of its coarse shape) as 64 bits, by the library imagehash."""
    return imagehash.phash(image).hash.ravel()
