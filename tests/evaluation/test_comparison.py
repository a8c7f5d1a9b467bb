import numpy as np
import pytest

from diffaug.evaluation.comparison import Measured, compare, level


def measured(value: float, *resampled: float) -> Measured:
    return Measured({"accuracy": value}, {"accuracy": np.array(resampled)})


RUNS = {
    "real": [measured(0.5, 0.4, 0.5, 0.6), measured(0.6, 0.5, 0.6, 0.7)],
    "merged": [measured(0.7, 0.5, 0.7, 0.9), measured(0.7, 0.6, 0.7, 0.8)],
}


def test_the_mean_of_the_seeds_and_their_difference() -> None:
    answer = compare(RUNS, 0.95)
    assert answer.real == {"accuracy": pytest.approx(0.55)}
    assert answer.merged == {"accuracy": pytest.approx(0.7)}
    assert answer.delta["accuracy"]["mean"] == pytest.approx(0.15)
    assert answer.delta["accuracy"]["low"] < 0.15 < answer.delta["accuracy"]["high"]


def test_seeds_are_paired() -> None:
    """If the gap is the same on every resample, the images add nothing to the interval."""
    together = {"real": [measured(0.5, 0.1, 0.9)], "merged": [measured(0.6, 0.2, 1.0)]}
    delta = compare(together, 0.95).delta["accuracy"]
    assert (delta["low"], delta["high"]) == (pytest.approx(0.1), pytest.approx(0.1))


def test_one_arm_has_an_interval_of_its_own() -> None:
    found = level(RUNS["real"], "accuracy", 0.95)
    assert found.mean == pytest.approx(0.55)
    assert found.low < 0.5 and found.high > 0.6
