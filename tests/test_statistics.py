import numpy as np
import pytest

from diffaug.statistics import Difference, image_weights, paired_difference, verdict


def test_every_resample_draws_as_many_images() -> None:
    weights = image_weights(50, 200, 0)
    assert weights.shape == (200, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert np.array_equal(weights, image_weights(50, 200, 0))
    assert not np.array_equal(weights, image_weights(50, 200, 1))


def test_a_constant_gap_has_no_width() -> None:
    real = np.linspace(0, 1, 100)
    difference = paired_difference([(0.5, 0.75)] * 3, [(real, real + 0.25)] * 3, 0.95, 0)
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0.25, 0.25, 0.25))


def test_seeds_that_disagree_widen_the_interval() -> None:
    flat = np.zeros(4000)
    difference = paired_difference([(0, -0.1), (0, 0.1)], [(flat, flat - 0.1), (flat, flat + 0.1)], 0.95, 0)
    # Two seeds drawn from two: both low in a quarter of the resamples, both high in another;
    # widened by the square root of 2 / 1.
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0, -(0.02**0.5), 0.02**0.5))


def test_images_alone_give_the_textbook_interval() -> None:
    # Paired gaps of +1, 0 or -1 an image: the mean's standard error is std / sqrt(n).
    gaps = np.repeat([1.0, 0.0, -1.0], [60, 320, 20])
    weights = image_weights(400, 4000, 0)
    means = weights @ gaps / 400
    difference = paired_difference([(0, gaps.mean())], [(np.zeros(4000), means)], 0.95, 0)
    error = 1.96 * gaps.std() / 20
    assert difference.low == pytest.approx(gaps.mean() - error, abs=0.003)
    assert difference.high == pytest.approx(gaps.mean() + error, abs=0.003)


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("accuracy", 0.01, 0.03, "helped"),
        ("accuracy", -0.03, -0.01, "hurt"),
        ("accuracy", -0.01, 0.01, "no difference"),
        ("accuracy", 0.0, 0.01, "no difference"),
        ("ece", 0.01, 0.03, "hurt"),
        ("ece", -0.03, -0.01, "helped"),
        ("ece", -0.01, 0.01, "no difference"),
    ],
)
def test_verdict(metric: str, low: float, high: float, expected: str) -> None:
    difference = Difference((low + high) / 2, low, high)
    assert verdict(metric, difference, seeds=3) == expected
    assert verdict(metric, difference, seeds=1) == "needs 2 seeds"
