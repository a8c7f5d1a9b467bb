"""The standard corruptions of photographs (Hendrycks and Dietterich 2019; for detection Michaelis et al. 2019), from
the library imagecorruptions."""

import contextlib
import inspect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import imagecorruptions
import numpy as np

from diffaug.dataset.records import Record
from diffaug.evaluation.metrics import CLEAN
from diffaug.params.evaluate import RobustnessParams

_LEAST = 32  # pixels per side; the library refuses smaller images


@dataclass(frozen=True)
class Condition:
    """A corruption at a severity of 1 to 5; severity 0: the unchanged images."""

    corruption: str
    severity: int


def list_conditions(params: RobustnessParams) -> list[Condition]:
    """The unchanged images, then every corruption at every severity."""
    return [
        Condition(CLEAN, 0),
        *itertools.starmap(Condition, itertools.product(params.corruptions, params.severities)),
    ]


def choose_images(count: int, params: RobustnessParams, seed: int) -> list[int]:
    """The places of at most `images` of the test images, chosen at random, in their order."""
    if count <= params.images:
        return list(range(count))
    return sorted(np.random.default_rng(seed).choice(count, params.images, replace=False).tolist())


def corrupted_versions(
    record: Record, pixels: np.ndarray, conditions: Sequence[Condition], seed: int
) -> list[np.ndarray]:
    """The pixels of the image, uint8 (H, W, 3), under every condition; identical for every model."""
    return [corrupt(pixels, one, [seed, *record.sha256.encode()]) for one in conditions]


def as_seen(pixels: np.ndarray, side: int) -> np.ndarray:
    """uint8 (H, W, 3) scaled as by Ultralytics for a network of this size: by its longer side, linearly."""
    height, width = pixels.shape[:2]
    ratio = side / max(height, width)
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    return pixels if size == (width, height) else cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)


def corrupt(pixels: np.ndarray, condition: Condition, seed: Sequence[int]) -> np.ndarray:
    """uint8 (H, W, 3) under the condition, of the same shape; deterministic for a seed."""
    if condition.severity == 0:
        return pixels
    number = int(np.random.default_rng([*seed, condition.severity, *condition.corruption.encode()]).integers(2**31))
    # Only some of the library's functions take a seed; the others draw from numpy's global generator.
    function = imagecorruptions.corruption_dict[condition.corruption]
    named = {"seed": number} if "seed" in inspect.signature(function).parameters else {}
    height, width = pixels.shape[:2]
    top, left = ((max(0, _LEAST - side) + 1) // 2 for side in (height, width))
    padded = np.pad(pixels, [(top, top), (left, left), (0, 0)], mode="symmetric")
    with _numpy_seed(number):
        corrupted = imagecorruptions.corrupt(
            padded, corruption_name=condition.corruption, severity=condition.severity, **named
        )
    return corrupted[top : top + height, left : left + width]


@contextlib.contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)
