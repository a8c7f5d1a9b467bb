"""Compares two arms of several seeds: means, and paired differences with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from diffaug.evaluation.metrics import ARMS
from diffaug.evaluation.statistics import Difference, paired_difference


@dataclass(frozen=True)
class Measured:
    """One model: each metric as a point in 0-1, and resampled, (R,) each."""

    points: Mapping[str, float]
    resampled: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """By metric, the mean over the seeds of each arm, in 0-1, and the fields of `Difference`."""

    real: dict[str, float]
    merged: dict[str, float]
    delta: dict[str, dict[str, Any]]


def compare(runs: Mapping[str, Sequence[Measured]], confidence: float) -> Comparison:
    """Compare the arms by every metric; runs: by arm, one per seed, in the same order."""
    names = list(runs["real"][0].points)
    real, merged = ({name: float(np.mean([one.points[name] for one in runs[arm]])) for name in names} for arm in ARMS)
    pairs = list(zip(*(runs[arm] for arm in ARMS)))
    return Comparison(real, merged, {name: asdict(_difference(pairs, name, confidence)) for name in names})


def level(of_seeds: Sequence[Measured], name: str, confidence: float) -> Difference:
    """One arm's metric with its interval: its difference to zero."""
    return _difference([(_nothing(one), one) for one in of_seeds], name, confidence)


def _nothing(like: Measured) -> Measured:
    return Measured(dict.fromkeys(like.points, 0.0), {name: np.zeros_like(one) for name, one in like.resampled.items()})


def _difference(pairs: Sequence[tuple[Measured, ...]], name: str, confidence: float) -> Difference:
    points = [(first.points[name], second.points[name]) for first, second in pairs]
    resampled = [(first.resampled[name], second.resampled[name]) for first, second in pairs]
    return paired_difference(points, resampled, confidence)
