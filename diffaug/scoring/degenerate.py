"""Images without content: blank, black (from a safety checker), almost uniformly grey, or blurred."""

from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
from PIL import Image
from skimage.measure import shannon_entropy

from diffaug.params.filter import Degenerate
from diffaug.scoring.material import Columns, Material

MEASURED_BY: tuple[str, ...] = ()


def measure(material: Material, params: Degenerate) -> Columns:
    """std, entropy and sharpness of every image, and the result of the safety checker: 1 or 0, -1 without one."""
    pictures = [gray(record.open()) for record in material.progress("degenerate")]
    return {
        "std": [float(picture.std()) for picture in pictures],
        "entropy": [float(shannon_entropy(picture)) for picture in pictures],
        "sharpness": [sharpness(picture) for picture in pictures],
        "flagged": [-1 if record.flagged is None else int(record.flagged) for record in material.generated],
    }


def failures(row: Mapping[str, Any], params: Degenerate) -> Iterator[tuple[str, bool]]:
    """The checks of the image, from its row of the ledger: reason, and whether it fails."""
    yield "blank", row["std"] < params.min_std
    yield "low entropy", row["entropy"] < params.min_entropy
    yield "blurred", row["sharpness"] < params.min_sharpness
    yield "flagged as unsafe", params.flagged == "reject" and row["flagged"] == 1


def gray(image: Image.Image) -> np.ndarray:
    """Grey levels, uint8 (H, W). Their standard deviation is 0 (one colour) to 127.5 (half black, half white); their
    entropy is 0 to 8 bits."""
    return np.asarray(image.convert("L"))


def sharpness(picture: np.ndarray) -> float:
    """Variance of the Laplacian of grey levels, 0 without edges (Pech-Pacheco et al. 2000, 10.1109/ICPR.2000.903548).
    It depends on the size and the subject, so compare only images of one set."""
    return float(cv2.Laplacian(picture, cv2.CV_64F).var())
