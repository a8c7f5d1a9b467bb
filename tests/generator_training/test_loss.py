import pytest
import torch

from diffaug.generator_training.loss import error_of


def test_a_large_error_counts_less_by_huber() -> None:
    predicted, target = torch.tensor([0.05, 1.0, -2.0]), torch.zeros(3)
    assert error_of("mse")(predicted, target).tolist() == pytest.approx([0.0025, 1.0, 4.0])
    # Half the square over 0.1 up to 0.1, then a straight line.
    assert error_of("huber")(predicted, target).tolist() == pytest.approx([0.0125, 0.95, 1.95])
