"""The error of a prediction, of which a training takes the mean."""

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional as F

from diffaug.params.train_gen import Loss

_HUBER = 0.1  # the error from which the loss "huber" grows in a straight line, in units of the latent's deviation


def error_of(loss: Loss) -> Callable[[Tensor, Tensor], Tensor]:
    """From a prediction and its target to the error of each number: its square or, for "huber", a value that grows in a
    straight line from 0.1 on, so that large errors count less (Huber 1964)."""
    function = F.mse_loss if loss == "mse" else partial(F.smooth_l1_loss, beta=_HUBER)
    return partial(function, reduction="none")
