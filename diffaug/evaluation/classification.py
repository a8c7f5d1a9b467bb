"""Accuracy, macro F1 and calibration of a classifier: by torchmetrics, and under resampling weights.

The expected calibration error is measured twice. ece: of the probabilities as they are. ece_scaled: after temperature
scaling (Guo et al. 2017), which mends overconfidence, the largest part of the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_f1_score,
)

BINS = 15
_SMALL = 1e-30  # probabilities below it count as this
_TEMPERATURES = (0.05, 50.0)


@dataclass(frozen=True)
class ClsPredictions:
    """One model's `probabilities` float (N, C) on the test images, whose true classes are `labels` int64 (N,), and its
    `temperature` above 0."""

    probabilities: Tensor
    labels: Tensor
    temperature: float = 1.0

    @property
    def scaled(self) -> Tensor:
        """The probabilities after temperature scaling, float (N, C)."""
        return (self.probabilities.double().clamp_min(_SMALL).log() / self.temperature).softmax(dim=1).float()

    @property
    def predicted(self) -> Tensor:
        return self.probabilities.argmax(dim=1)

    @property
    def hits(self) -> np.ndarray:
        """bool (N,): which images are classified correctly."""
        return (self.predicted == self.labels).numpy()


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that makes the labels likeliest, by which logits (N, C) are divided. It changes no prediction."""

    def loss(log_temperature: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits.double() / np.exp(log_temperature), labels))

    bounds = tuple(float(np.log(end)) for end in _TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def score_classification(run: ClsPredictions) -> dict[str, float]:
    """accuracy, macro_f1, ece and ece_scaled (expected calibration error, 15 bins), mean_confidence, each in 0-1."""
    classes = run.probabilities.shape[1]
    return {
        "accuracy": float(multiclass_accuracy(run.probabilities, run.labels, classes, average="micro")),
        "macro_f1": float(multiclass_f1_score(run.probabilities, run.labels, classes, average="macro")),
        **{
            name: float(multiclass_calibration_error(probabilities, run.labels, classes, n_bins=BINS))
            for name, probabilities in (("ece", run.probabilities), ("ece_scaled", run.scaled))
        },
        "mean_confidence": float(run.probabilities.max(dim=1).values.mean()),
    }


def per_class_accuracy(run: ClsPredictions) -> np.ndarray:
    """The share of each class's test images that are classified correctly, (C,)."""
    classes = run.probabilities.shape[1]
    return multiclass_accuracy(run.probabilities, run.labels, classes, average="none").numpy()


def resample_classification(run: ClsPredictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of `score_classification` for every resample, (R,) each. `weights` (R, N): how often each resample
    drew each image."""
    classes = run.probabilities.shape[1]
    labels, predicted = run.labels.numpy(), run.predicted.numpy()
    total = weights.sum(axis=1)
    correct = (labels == predicted).astype(np.float64)
    eye = np.eye(classes)
    hits = weights @ (eye[labels] * correct[:, None])
    marks = weights @ (eye[labels] + eye[predicted])
    with np.errstate(invalid="ignore"):
        f1 = np.nanmean(2 * hits / marks, axis=1)
    return {
        "accuracy": weights @ correct / total,
        "macro_f1": f1,
        **{
            name: _calibration_error(probabilities.max(dim=1).values, correct, weights) / total
            for name, probabilities in (("ece", run.probabilities), ("ece_scaled", run.scaled))
        },
        "mean_confidence": weights @ run.probabilities.max(dim=1).values.numpy() / total,
    }


def _calibration_error(confidence: Tensor, correct: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Summed over the images, (R,)."""
    gaps = weights @ (np.eye(BINS + 1)[_bins(confidence)] * (correct - confidence.numpy())[:, None])
    return np.abs(gaps).sum(axis=1)


def _bins(confidence: Tensor) -> np.ndarray:
    """The bin of each image's confidence. As in torchmetrics, a confidence of exactly 1 has a bin of its own."""
    edges = torch.linspace(0, 1, BINS + 1, dtype=confidence.dtype)
    return (torch.bucketize(confidence, edges, right=True) - 1).numpy()


def reliability(runs: Sequence[ClsPredictions]) -> list[list[float]]:
    """For each bin of confidence that is not empty, over all seeds: mean confidence, accuracy, share of images."""
    sure = [run.probabilities.max(dim=1).values for run in runs]
    bins = np.concatenate([np.minimum(_bins(one), BINS - 1) for one in sure])
    confidence = torch.cat(sure).numpy()
    hits = np.concatenate([run.hits for run in runs])
    return [
        [float(confidence[bins == one].mean()), float(hits[bins == one].mean()), float((bins == one).mean())]
        for one in np.unique(bins)
    ]
