import numpy as np
import pytest

from diffaug.evaluation.statistics import (
    ChangedSides,
    Difference,
    changed_sides,
    holm,
    image_weights,
    paired_difference,
    verdict,
)


def test_every_resample_draws_as_many_images() -> None:
    weights = image_weights(50, 200, 0)
    assert weights.shape == (200, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert np.array_equal(weights, image_weights(50, 200, 0))
    assert not np.array_equal(weights, image_weights(50, 200, 1))


def test_a_constant_gap_has_no_width() -> None:
    real = np.linspace(0, 1, 100)
    difference = paired_difference([(0.5, 0.75)] * 3, [(real, real + 0.25)] * 3, 0.95)
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0.25, 0.25, 0.25))
    assert difference.p == 0


def test_arms_that_are_the_same_have_no_difference() -> None:
    real = np.linspace(0, 1, 100)
    points = [(0.5, 0.5), (0.7, 0.7)]
    assert paired_difference(points, [(real, real)] * 2, 0.95) == Difference(0, 0, 0, 1, 0, None)


def test_seeds_that_disagree_widen_the_interval_by_students_t() -> None:
    flat = np.zeros(4000)
    points = [(0.0, -0.1), (0.0, 0.1), (0.0, 0.0)]
    difference = paired_difference(points, [(flat, flat + gap) for _, gap in points], 0.95)
    # No variance from images; from seeds 0.01 / 3, with 2 x (3 - 1) degrees of freedom for both arms: t = 2.776.
    reach = 2.776 * (0.01 / 3) ** 0.5
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0, -reach, reach), abs=1e-4)
    assert difference.p == 1
    assert difference.visible_from(0.05) == pytest.approx(reach + 0.941 * (0.01 / 3) ** 0.5, abs=1e-4)


def test_images_alone_give_the_textbook_interval() -> None:
    # Paired gaps of +1, 0 or -1 per image: the mean's standard error is std / sqrt(n).
    gaps = np.repeat([1.0, 0.0, -1.0], [60, 320, 20])
    weights = image_weights(400, 4000, 0)
    means = weights @ gaps / 400
    difference = paired_difference([(0, gaps.mean())], [(np.zeros(4000), means)], 0.95)
    error = 1.96 * gaps.std() / 20
    assert difference.low == pytest.approx(gaps.mean() - error, abs=0.003)
    assert difference.high == pytest.approx(gaps.mean() + error, abs=0.003)
    assert difference.visible_from(0.05) == pytest.approx(2.8 * gaps.std() / 20, abs=0.004)


def test_holms_correction() -> None:
    # Computed by hand: 0.01 x 4, 0.02 x 3, then 0.03 x 2, which must not be smaller than the value before, and 0.9.
    given = {"a": 0.03, "b": 0.01, "c": 0.9, "d": 0.02}
    assert holm(given) == pytest.approx({"a": 0.06, "b": 0.04, "c": 0.9, "d": 0.06})
    assert list(holm(given)) == list(given)
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


def test_mcnemars_test_counts_images_that_changed_sides() -> None:
    real = np.array([True] * 10 + [False] * 10)
    merged = np.array([True] * 9 + [False] + [True] * 8 + [False] * 2)
    # Eight became right, one became wrong: 2 x P(at most 1 of 9 heads) = 2 x 10 / 512.
    assert changed_sides(real, merged) == ChangedSides(8, 1, pytest.approx(20 / 512))
    assert changed_sides(real, real) == ChangedSides(0, 0, 1.0)


@pytest.mark.parametrize(
    ("lower_is_better", "mean", "p", "expected"),
    [
        (False, 0.02, 0.04, "helped"),
        (False, -0.02, 0.04, "hurt"),
        (False, 0.02, 0.051, "no difference"),
        (True, 0.02, 0.04, "hurt"),
        (True, -0.02, 0.04, "helped"),
        (True, -0.02, 0.06, "no difference"),
    ],
)
def test_verdict(lower_is_better: bool, mean: float, p: float, expected: str) -> None:
    difference = Difference(mean, mean - 0.01, mean + 0.01, 0.001, 0.02, None)
    assert verdict(difference, p, 0.95, 3, lower_is_better) == expected
    assert verdict(difference, p, 0.95, 1, lower_is_better) == "needs 2 seeds"


@pytest.mark.parametrize(("seeds", "spread"), [(2, 0.15), (3, 0.15), (3, 0.0)])
def test_of_two_arms_alike_it_rarely_says_helped_or_hurt(seeds: int, spread: float) -> None:
    """A/A comparisons on 1,000 test images; each image has a difficulty, each model an ability."""
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(300):
        difficulty = generator.normal(0.8, 1.2, 1000)
        ability = generator.normal(0, spread, (2, seeds, 1))
        hits = (difficulty + ability + generator.normal(0, 0.7, (2, seeds, 1000)) > 0).astype(np.float64)
        weights = image_weights(1000, 100, int(generator.integers(2**31))) / 1000
        points = list(zip(hits[0].mean(axis=1), hits[1].mean(axis=1)))
        resampled = [(weights @ hits[0, seed], weights @ hits[1, seed]) for seed in range(seeds)]
        wrong += paired_difference(points, resampled, 0.95).p < 0.05
    assert wrong <= 0.08 * 300  # 5 %, and a margin for the random error of 300 comparisons
