"""The interval of a difference, and the verdict that follows from it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import stats

POWER = 0.8
_NOTHING = 1e-18  # a smaller variance is only a rounding error

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Difference:
    """merged minus real: the mean over seeds and the ends of the interval; p: two-sided, of no difference, 0 to 1;
    error: the standard error; freedom: the degrees of freedom of Student's t, None for the normal distribution."""

    mean: float
    low: float
    high: float
    p: float
    error: float
    freedom: float | None

    def visible_from(self, level: float) -> float:
        """The true difference that a two-sided test at `level` would find with a power of 80 %. It is approximate, as
        `error` is estimated from few seeds."""
        freedom = np.inf if self.freedom is None else self.freedom
        return float(stats.t.ppf(1 - level / 2, freedom) + stats.t.ppf(POWER, freedom)) * self.error


def image_weights(images: int, resamples: int, seed: int) -> np.ndarray:
    """How often each resample drew each test image, float64 (R, N); each row sums to N."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(images, np.full(images, 1 / images), size=resamples).astype(np.float64)


def paired_difference(
    points: Sequence[tuple[float, float]],
    resampled: Sequence[tuple[np.ndarray, np.ndarray]],
    confidence: float,
) -> Difference:
    """The difference merged - real, with an interval for other test images and other seeds.

    points: (real, merged) of every seed on the whole test set. resampled: the same for every resample, (R,) each; both
    arms and all seeds are resampled with the same images. The variance is the sum of two: that of the mean difference
    over resampled images (bootstrap, Efron and Tibshirani 1993), and that of the seeds, pooled over both arms, divided
    by the number of seeds. A few seeds estimate their variance badly; Student's t with Satterthwaite's degrees of
    freedom allows for this. A percentile bootstrap over two or three seeds does not, and reports "helped" far too often
    if there is no effect (benchmarks/calibration.py). With one seed, the interval is only for other images. Resamples
    without any object (NaN) are left out.
    """
    gaps = np.array([merged - real for real, merged in resampled])
    mean, seeds = float(np.mean([merged - real for real, merged in points])), len(points)
    of_images = float(np.nanvar(gaps.mean(axis=0), ddof=1))
    of_seeds = float(np.var(points, axis=0, ddof=1).sum()) / seeds if seeds > 1 and gaps.any() else 0.0
    total = of_images + of_seeds
    if total < _NOTHING:  # both arms are identical, or their difference is constant
        return Difference(mean, mean, mean, float(abs(mean) < _NOTHING), 0.0, None)
    freedom = total**2 / (of_seeds**2 / (2 * (seeds - 1))) if of_seeds > 0 else np.inf
    error = total**0.5
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, freedom))
    return Difference(mean, mean - reach, mean + reach, p, error, None if np.isinf(freedom) else float(freedom))


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """Holm's correction (1979): each p-value times the number of tests left at its step, at most 1."""
    corrected: dict[Name, float] = {}
    highest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p * (len(p_values) - rank)))
        corrected[name] = highest
    return {name: corrected[name] for name in p_values}


@dataclass(frozen=True)
class ChangedSides:
    """Test images that one arm's classifier gets right and the other's gets wrong; p: McNemar's exact test (1947)."""

    mended: int
    broken: int
    p: float


def changed_sides(real: np.ndarray, merged: np.ndarray) -> ChangedSides:
    """Compare two classifiers' hits, bool (N,) each, for one seed."""
    mended, broken = int((merged & ~real).sum()), int((real & ~merged).sum())
    p = float(stats.binomtest(mended, mended + broken).pvalue) if mended + broken else 1.0
    return ChangedSides(mended, broken, p)


def verdict(
    difference: Difference, corrected: float, confidence: float, seeds: int, lower_is_better: bool = False
) -> str:
    """helped, hurt or no difference. The first two need a `corrected` p-value below 1 - confidence; one seed is not
    enough for a verdict."""
    if seeds < 2:
        return "needs 2 seeds"
    if corrected >= 1 - confidence:
        return "no difference"
    better = (difference.mean < 0) == lower_is_better
    return "helped" if better else "hurt"
