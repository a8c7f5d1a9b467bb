"""Accuracy, macro F1 and calibration of a classifier: by torchmetrics, and under resampling weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_f1_score,
)

BINS = 15


@dataclass(frozen=True)
class ClsPredictions:
    """One model's `probabilities` float (N, C) on the test images, whose true classes are `labels` int64 (N,)."""

    probabilities: Tensor
    labels: Tensor

    @property
    def predicted(self) -> Tensor:
        return self.probabilities.argmax(dim=1)

    @property
    def hits(self) -> np.ndarray:
        """bool (N,): which images are classified correctly."""
        return (self.predicted == self.labels).numpy()


def score_classification(run: ClsPredictions) -> dict[str, float]:
    """accuracy, macro_f1, ece (expected calibration error, 15 bins) and mean_confidence, each in 0-1."""
    classes = run.probabilities.shape[1]
    return {
        "accuracy": float(multiclass_accuracy(run.probabilities, run.labels, classes, average="micro")),
        "macro_f1": float(multiclass_f1_score(run.probabilities, run.labels, classes, average="macro")),
        "ece": float(multiclass_calibration_error(run.probabilities, run.labels, classes, n_bins=BINS)),
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
    confidence = run.probabilities.max(dim=1).values.numpy()
    gaps = weights @ (np.eye(BINS + 1)[_bins(run)] * (correct - confidence)[:, None])
    return {
        "accuracy": weights @ correct / total,
        "macro_f1": f1,
        "ece": np.abs(gaps).sum(axis=1) / total,
        "mean_confidence": weights @ confidence / total,
    }


def _bins(run: ClsPredictions) -> np.ndarray:
    """The bin of each image's confidence. As in torchmetrics, a confidence of exactly 1 has a bin of its own."""
    confidence = run.probabilities.max(dim=1).values
    edges = torch.linspace(0, 1, BINS + 1, dtype=confidence.dtype)
    return (torch.bucketize(confidence, edges, right=True) - 1).numpy()


def reliability(runs: Sequence[ClsPredictions]) -> list[list[float]]:
    """For each bin of confidence that is not empty, over all seeds: mean confidence, accuracy, share of images."""
    bins = np.concatenate([np.minimum(_bins(run), BINS - 1) for run in runs])
    confidence = np.concatenate([run.probabilities.max(dim=1).values.numpy() for run in runs])
    hits = np.concatenate([run.hits for run in runs])
    return [
        [float(confidence[bins == one].mean()), float(hits[bins == one].mean()), float((bins == one).mean())]
        for one in np.unique(bins)
    ]
