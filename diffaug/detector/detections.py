"""The detections in one image."""

from dataclasses import dataclass

import numpy as np

MAX_DETECTIONS = 100  # per image, as in COCO


@dataclass(frozen=True)
class Detections:
    """One image's detections: boxes float32 (N, 4) as xyxy in pixels, scores (N,) in 0-1, labels int64 (N,)."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
