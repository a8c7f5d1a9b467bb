"""The kernel inception distance of two sets, with its standard error."""

import numpy as np


def kid_with_error(real: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    """KID of features (N, D) and (M, D), N and M of 3 or more, and its standard error.

    KID is the unbiased estimate of the squared maximum mean discrepancy with a cubic kernel (Binkowski et al. 2018,
    arXiv:1801.01401), here of all images at once: about 0 for sets of the same kind, and then sometimes below 0. The
    error is the jackknife's over the images of both sets (Efron and Stein 1981, 10.1214/aos/1176345462).
    """
    real, made = real.astype(np.float64), made.astype(np.float64)
    own_real, own_made, across = _kernel(real, real), _kernel(made, made), _kernel(real, made)
    np.fill_diagonal(own_real, 0)
    np.fill_diagonal(own_made, 0)
    inside_real, inside_made = _pair_mean(own_real), _pair_mean(own_made)
    without_real = _pair_means_without(own_real) + inside_made - 2 * _means_without(across)
    without_made = _pair_means_without(own_made) + inside_real - 2 * _means_without(across.T)
    return inside_real + inside_made - 2 * float(across.mean()), float(
        np.sqrt(_jackknife(without_real) + _jackknife(without_made))
    )


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first @ second.T / first.shape[1] + 1) ** 3


def _pair_mean(kernel: np.ndarray) -> float:
    """The mean over pairs of different images; the diagonal of `kernel` is 0."""
    return float(kernel.sum() / (len(kernel) * (len(kernel) - 1)))


def _pair_means_without(kernel: np.ndarray) -> np.ndarray:
    """The same without each image in turn."""
    rest = len(kernel) - 1
    return (kernel.sum() - 2 * kernel.sum(axis=1)) / (rest * (rest - 1))


def _means_without(across: np.ndarray) -> np.ndarray:
    """The mean of all values without each row in turn."""
    return (across.sum() - across.sum(axis=1)) / ((len(across) - 1) * across.shape[1])


def _jackknife(without: np.ndarray) -> float:
    """The variance that one set's images give."""
    return float((len(without) - 1) * without.var())
