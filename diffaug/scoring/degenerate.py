"""Images without content: blank, black (from a safety checker), almost uniformly grey, or blurred."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import cv2
import numpy as np
from PIL import Image
from skimage.measure import shannon_entropy

from diffaug.dataset.records import Record
from diffaug.params.filter import Degenerate
from diffaug.scoring.material import Columns, Material

MEASURED_BY: tuple[str, ...] = ()
AUTO = {"min_std": 8.0, "min_entropy": 8.0, "min_sharpness": math.inf}


def measure(material: Material, params: Degenerate) -> Columns:
    """std, entropy and sharpness of every image, and the result of the safety checker: 1 or 0, -1 without one."""
    flagged = [-1 if record.flagged is None else int(record.flagged) for record in material.generated]
    return contents(material.progress("degenerate")) | {"flagged": flagged}


def measure_real(material: Material, params: Degenerate) -> Columns:
    """What real train images have of the thresholds that can be `auto`."""
    return {f"min_{name}": values for name, values in contents(material.train_sample).items()}


def failures(row: Mapping[str, Any], params: Degenerate) -> Iterator[tuple[str, bool]]:
    """The checks of the image, from its row of the ledger: reason, and whether it fails."""
    yield "blank", row["std"] < params.min_std
    yield "low entropy", row["entropy"] < params.min_entropy
    yield "blurred", row["sharpness"] < params.min_sharpness
    yield "flagged as unsafe", params.flagged == "reject" and row["flagged"] == 1


def contents(records: Iterable[Record]) -> Columns:
    """std, entropy and sharpness of every image."""
    pictures = [gray(record.open()) for record in records]
    return {
        "std": [float(picture.std()) for picture in pictures],
        "entropy": [float(shannon_entropy(picture)) for picture in pictures],
        "sharpness": [sharpness(picture) for picture in pictures],
    }


def gray(image: Image.Image) -> np.ndarray:
    """Grey levels, uint8 (H, W). Their standard deviation is 0 (one colour) to 127.5 (half black, half white); their
    entropy is 0 to 8 bits."""
    return np.asarray(image.convert("L"))


def sharpness(picture: np.ndarray) -> float:
    """Variance of the Laplacian of grey levels, 0 without edges (Pech-Pacheco et al. 2000, 10.1109/ICPR.2000.903548).
    It depends on the size and the subject, so compare only images of one set."""
    return float(cv2.Laplacian(picture, cv2.CV_64F).var())
