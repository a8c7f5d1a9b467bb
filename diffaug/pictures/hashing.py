"""Hashes of what an image shows."""

import hashlib

import imagehash
import numpy as np
from PIL import Image


def pixel_hash(image: Image.Image) -> str:
    """SHA-256 of an image's size and pixels, the same whether grey is stored as "L" or "RGB"."""
    return hashlib.sha256(f"{image.size}".encode() + image.convert("RGB").tobytes()).hexdigest()


def phash(image: Image.Image) -> np.ndarray:
    """The image's perceptual hash (DCT of its coarse shape) as 64 bits, by the library imagehash. Two versions of one
    photograph have similar ones."""
    return imagehash.phash(image).hash.ravel()
