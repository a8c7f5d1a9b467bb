"""The interval and the verdict of a line, against a direct call and at its limits."""

from dataclasses import asdict

import numpy as np
import pytest

from diffaug.comparing.lines import FEWEST, Line, compare_lines
from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.statistics import paired_difference

PRIMARY, OTHER = Line("accuracy", 100), Line("macro F1", 100)


def measured(point: float, seed: int) -> Measured:
    values = np.random.default_rng(seed).normal(point, 0.01, 400)
    return Measured({"accuracy": point, "macro F1": point}, {"accuracy": values, "macro F1": values})


A = [measured(0.60, 1), measured(0.62, 2)]
B = [measured(0.80, 3), measured(0.81, 4)]


def test_interval_and_p_are_those_of_the_verdict() -> None:
    line, _ = compare_lines([PRIMARY, OTHER], (A, B), 0.9)
    pairs = [(a.resampled["accuracy"], b.resampled["accuracy"]) for a, b in zip(A, B)]
    direct = paired_difference([(0.60, 0.80), (0.62, 0.81)], pairs, 0.9)
    assert (line.difference, line.low, line.high, line.p) == (direct.mean, direct.low, direct.high, direct.p)
    assert (line.a, line.b) == pytest.approx((0.61, 0.805))
    assert line.low < 0.195 < line.high and line.visible_from > 0


def test_the_verdict_names_the_better_side() -> None:
    assert compare_lines([PRIMARY], (A, B), 0.95)[0].verdict == "B better"
    assert compare_lines([PRIMARY], (B, A), 0.95)[0].verdict == "A better"


def test_only_the_first_line_has_a_verdict() -> None:
    second = compare_lines([PRIMARY, OTHER], (A, B), 0.95)[1]
    assert (second.p, second.verdict) == (None, None) and second.low is not None


def test_two_sides_that_are_alike_make_no_difference() -> None:
    line = compare_lines([PRIMARY], (A, A), 0.95)[0]
    assert (line.difference, line.low, line.high, line.verdict) == (0, 0, 0, "no difference")
    assert line.visible_from is None


def test_one_training_a_side_gets_no_verdict() -> None:
    assert compare_lines([PRIMARY], (A[:1], B[:1]), 0.95)[0].verdict == "needs 2 seeds"


def test_a_line_of_few_images_gets_no_interval() -> None:
    """Resamples of a single image are all alike: the interval would have no width, and p would be 0."""
    few = Line("accuracy", FEWEST - 1)
    line = compare_lines([few], (A, B), 0.95)[0]
    assert asdict(line) == asdict(line) | {"low": None, "high": None, "p": None, "verdict": f"needs {FEWEST} images"}
    assert line.difference == pytest.approx(0.195)
