"""Blank images: a black frame of a safety checker, a failed decode."""

import numpy as np
from PIL import Image


def gray_std(image: Image.Image) -> float:
    """Standard deviation of the grey levels, 0 (one colour) to 127.5 (half black, half white)."""
    return float(np.asarray(image.convert("L"), dtype=np.float64).std())
