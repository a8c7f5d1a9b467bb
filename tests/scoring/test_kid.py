"""KID against torchmetrics' and worked values; its error against the spread of repeated draws."""

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from diffaug.scoring.kid import kid_with_error


def test_the_value_is_that_of_torchmetrics() -> None:
    generator = np.random.default_rng(0)
    real, made = generator.normal(size=(30, 8)), generator.normal(0.5, size=(30, 8))
    expected = float(poly_mmd(torch.tensor(real), torch.tensor(made)))  # it takes only sets of one size
    assert kid_with_error(real, made)[0] == pytest.approx(expected, rel=1e-9)


def test_a_value_worked_out_by_hand() -> None:
    """One number an image: the kernel is (xy + 1)^3. Real 0s: 1 for each pair; made 1s: 8; across: 1."""
    value, error = kid_with_error(np.zeros((3, 1)), np.ones((4, 1)))
    assert (value, error) == (1 + 8 - 2, 0)


@pytest.mark.parametrize("shift", [0.5, 1.0])
def test_the_error_is_the_spread_of_repeated_draws(shift: float) -> None:
    generator = np.random.default_rng(1)
    found = [
        kid_with_error(generator.normal(size=(120, 16)), generator.normal(shift, size=(100, 16))) for _ in range(200)
    ]
    values, errors = map(np.array, zip(*found))
    assert 0.85 < errors.mean() / values.std() < 1.15
