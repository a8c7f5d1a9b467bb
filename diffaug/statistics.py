"""The interval of a difference, and the verdict that follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LOWER_IS_BETTER = frozenset({"ece"})

Resampled = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """merged minus real: the mean over seeds, and the interval's ends."""

    mean: float
    low: float
    high: float


def image_weights(images: int, resamples: int, seed: int) -> np.ndarray:
    """How often each resample drew each test image, float64 (R, N): rows sum to N."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(images, np.full(images, 1 / images), size=resamples).astype(np.float64)


def paired_difference(
    points: Sequence[tuple[float, float]],
    resampled: Sequence[tuple[np.ndarray, np.ndarray]],
    confidence: float,
    seed: int,
) -> Difference:
    """The difference merged - real with its percentile interval from a paired bootstrap over test images and seeds.

    points: (real, merged) of every seed on the test set as it is. resampled: the same for every resample, (R,) each;
    both arms and all seeds are resampled with the same images, and each resample draws its seeds anew, with
    replacement (Efron and Tibshirani 1993, chapter 13). A draw from n seeds is too narrow by (n - 1) / n in variance,
    so its deviation from the mean of all seeds is widened by the square root of n / (n - 1). A
    resample without any object to find (NaN) is left out.
    """
    gaps = np.stack([merged - real for real, merged in resampled], axis=1)
    resamples, seeds = gaps.shape
    drawn = np.random.default_rng([seed, 1]).integers(seeds, size=(resamples, seeds))
    center = gaps.mean(axis=1)
    widened = np.sqrt(seeds / max(1, seeds - 1))
    means = center + widened * (np.take_along_axis(gaps, drawn, axis=1).mean(axis=1) - center)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(means, [tail, 1 - tail])
    return Difference(float(np.mean([merged - real for real, merged in points])), float(low), float(high))


def verdict(metric: str, difference: Difference, seeds: int) -> str:
    """helped, hurt or no difference: the first two only where the interval leaves out zero; one seed cannot say."""
    if seeds < 2:
        return "needs 2 seeds"
    sign = -1 if metric in LOWER_IS_BETTER else 1
    low, high = sorted((sign * difference.low, sign * difference.high))
    if low > 0:
        return "helped"
    return "hurt" if high < 0 else "no difference"
