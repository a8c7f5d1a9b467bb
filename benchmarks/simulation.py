"""Simulated comparisons of two arms, without training: which images the classifiers of both arms get right.

Each image has a difficulty, each model an ability. The spread of the abilities within an arm stands for the training
seeds, the spread of a further part for the draw of the synthetic images.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import norm

from diffaug.evaluation.statistics import Difference, image_weights, paired_difference

CONFIDENCE = 0.95
_RESAMPLES = 200
_EASE, _DIFFICULTY, _NOISE = 0.8, 1.2, 0.7  # accuracy about 0.71, as for the default control
_GAIN = 0.1  # about two points

Resampled = Sequence[tuple[np.ndarray, np.ndarray]]


def draw_abilities(seeds: int, spread: float, gain: float, generator: np.random.Generator) -> np.ndarray:
    """The ability of each model, (2, seeds); the second arm is better by `gain`."""
    return generator.normal(0, spread, (2, seeds)) + np.array([[0], [gain]])


def classify(abilities: np.ndarray, images: int, generator: np.random.Generator) -> np.ndarray:
    """Which images each model gets right, as 0 or 1, float64 (2, seeds, images)."""
    difficulty = generator.normal(_EASE, _DIFFICULTY, images)
    noise = generator.normal(0, _NOISE, (*abilities.shape, images))
    return (difficulty + abilities[:, :, None] + noise > 0).astype(np.float64)


def true_accuracy(ability: float = 0.0, spread: float = 0.0) -> float:
    """The mean over all images and all models whose abilities have this mean and this deviation."""
    return float(norm.cdf((_EASE + ability) / _deviation(spread)))


def gain_for(effect: float, spread: float) -> float:
    """The gain in ability that raises the true accuracy by `effect`."""
    return float(norm.ppf(true_accuracy(0, spread) + effect)) * _deviation(spread) - _EASE


def _deviation(spread: float) -> float:
    return float(np.sqrt(_DIFFICULTY**2 + _NOISE**2 + spread**2))


@lru_cache
def share_weights(images: int) -> np.ndarray:
    """The share of each image in each resample, (R, images), the same for all comparisons: each has its own images."""
    return image_weights(images, _RESAMPLES, images) / images


def compare_values(values: np.ndarray) -> tuple[Difference, Resampled]:
    """The difference of a metric that is the mean of `values` (2, seeds, images), and its resampled values."""
    resampled = np.einsum("asn,rn->sar", values, share_weights(values.shape[2]), optimize=True)
    points = [(float(real), float(merged)) for real, merged in values.mean(axis=2).T]
    pairs = [(real, merged) for real, merged in resampled]
    return paired_difference(points, pairs, CONFIDENCE), pairs


def compare_classifiers(
    images: int, seeds: int, spread: float, gain: float, count: int
) -> Iterator[tuple[Difference, Resampled]]:
    """`count` comparisons of accuracy, each with images and models of its own."""
    generator = np.random.default_rng([images, seeds, round(1e6 * spread), round(1e6 * gain)])
    for _ in range(count):
        yield compare_values(classify(draw_abilities(seeds, spread, gain, generator), images, generator))


def compare_with_draws(
    images: int, seeds: int, spread: float, of_draws: float, shared: bool, count: int
) -> tuple[list[Difference], float]:
    """`count` comparisons of accuracy in which the second arm's ability depends on its draw of synthetic images too,
    one for all seeds if `shared`, and the true effect: the mean over all images, seeds and draws."""
    generator = np.random.default_rng([images, seeds, round(1e6 * spread), round(1e6 * of_draws), shared])
    found = []
    for _ in range(count):
        abilities = draw_abilities(seeds, spread, _GAIN, generator)
        abilities[1] += generator.normal(0, of_draws, 1 if shared else seeds)
        found.append(compare_values(classify(abilities, images, generator))[0])
    return found, true_accuracy(_GAIN, float(np.hypot(spread, of_draws))) - true_accuracy(0.0, spread)


def percentile(resampled: Resampled, generator: np.random.Generator) -> bool:
    """Whether the percentile bootstrap over images and seeds tells the arms apart."""
    gaps = np.stack([merged - real for real, merged in resampled], axis=1)
    drawn = generator.integers(gaps.shape[1], size=gaps.shape)
    low, high = np.quantile(np.take_along_axis(gaps, drawn, axis=1).mean(axis=1), [0.025, 0.975])
    return bool(low > 0 or high < 0)


def contains(difference: Difference, value: float) -> bool:
    """Whether the interval contains the value."""
    return difference.low <= value <= difference.high
