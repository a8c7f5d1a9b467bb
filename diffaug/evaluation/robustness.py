"""Both arms' models on corrupted test images, and the loss caused by the corruptions.

Images are corrupted at the input size of the network, not at the size of the photograph: the severities are made for
images of some hundred pixels, and their effect would vanish when a large photograph is scaled down.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from diffaug.classifier.predicting import predict_logits
from diffaug.dataset.codec import to_rgb_array
from diffaug.dataset.records import Record
from diffaug.detector.detections import Detections
from diffaug.detector.predicting import detect_arrays
from diffaug.evaluation.classification import ClsPredictions, resample_classification, score_classification
from diffaug.evaluation.comparison import Comparison, Measured, compare, level
from diffaug.evaluation.corruptions import Condition, as_seen, corrupted_versions
from diffaug.evaluation.detection import DetPredictions, match, resample_detection
from diffaug.evaluation.metrics import ALL, ARMS, CLEAN, CORRUPTED, corruptible
from diffaug.evaluation.tables import ROBUSTNESS, TABLES
from diffaug.runtime.tables import write_table

_AT_ONCE = 256  # corrupted versions of images in memory

Models = Mapping[str, Sequence[Any]]  # by arm, the networks of all seeds
Runs = Mapping[str, Sequence[Sequence[Measured]]]  # by arm, for every seed and condition


@dataclass(frozen=True)
class Trial:
    """The images and their places in the test set, the conditions, of which the first is the unchanged one, and weights
    (R, N): how often each resample drew each image."""

    places: Sequence[int]
    records: Sequence[Record]
    conditions: Sequence[Condition]
    weights: np.ndarray
    seed: int

    @property
    def corruptions(self) -> Sequence[Condition]:
        """All conditions but the unchanged one, whose predictions are known already."""
        return self.conditions[1:]


def classify_corrupted(
    models: Models, clean: Mapping[str, Sequence[ClsPredictions]], trial: Trial, image_size: int, device: torch.device
) -> Runs:
    """Accuracy and calibration error of every classifier under every condition; `clean`: its predictions on the whole
    unchanged test set."""
    labels = torch.tensor([record.label for record in trial.records])
    found: dict[str, list[list[torch.Tensor]]] = {arm: [[] for _ in networks] for arm, networks in models.items()}
    for some in _chunks(trial, "corrupted images"):
        versions = [one for record in some for one in _versions(record, to_rgb_array(record.open(), image_size), trial)]
        pixels = torch.from_numpy(np.stack(versions)).permute(0, 3, 1, 2).contiguous().to(device)
        for arm, networks in models.items():
            for place, network in enumerate(networks):
                probabilities = predict_logits(network, pixels).softmax(dim=1).cpu()
                found[arm][place].append(probabilities.reshape(len(some), len(trial.corruptions), -1))
    return {
        arm: [
            [
                _classified(ClsPredictions(one, labels, of_seed.temperature), trial.weights)
                for one in (of_seed.probabilities[list(trial.places)], *torch.cat(chunks).unbind(dim=1))
            ]
            for of_seed, chunks in zip(clean[arm], of_seeds)
        ]
        for arm, of_seeds in found.items()
    }


def _versions(record: Record, pixels: np.ndarray, trial: Trial) -> list[np.ndarray]:
    return corrupted_versions(record, pixels, trial.corruptions, trial.seed)


def _chunks(trial: Trial, label: str) -> Iterator[Sequence[Record]]:
    size = max(1, _AT_ONCE // len(trial.corruptions))
    with tqdm(total=len(trial.records), desc=label, unit="image", mininterval=1.0, leave=False) as bar:
        for start in range(0, len(trial.records), size):
            some = trial.records[start : start + size]
            yield some
            bar.update(len(some))


def _classified(run: ClsPredictions, weights: np.ndarray) -> Measured:
    return _kept("cls", score_classification(run), resample_classification(run, weights))


def _kept(task: str, points: Mapping[str, float], resampled: Mapping[str, np.ndarray]) -> Measured:
    names = corruptible(task)
    return Measured({name: points[name] for name in names}, {name: resampled[name] for name in names})


def detect_corrupted(
    models: Models, clean: Mapping[str, Sequence[DetPredictions]], trial: Trial, image_size: int, device: torch.device
) -> Runs:
    """mAP50-95 of every detector under every condition; `clean`: its detections on the whole unchanged test set."""
    found: dict[str, list[list[list[Detections]]]] = {arm: [[] for _ in networks] for arm, networks in models.items()}
    for some in _chunks(trial, "corrupted scenes"):
        versions: list[np.ndarray] = []
        scales: list[np.ndarray] = []
        for record in some:
            pixels = to_rgb_array(record.open())
            seen_as = as_seen(pixels, image_size)
            scale = np.tile(np.divide(pixels.shape[1::-1], seen_as.shape[1::-1]), 2).astype(np.float32)
            versions += _versions(record, seen_as, trial)
            scales += [scale] * len(trial.corruptions)
        count = len(trial.corruptions)
        for arm, networks in models.items():
            for place, network in enumerate(networks):
                seen = detect_arrays(network, versions, image_size, device)
                whole = [Detections(one.boxes * scale, one.scores, one.labels) for one, scale in zip(seen, scales)]
                found[arm][place] += [whole[start : start + count] for start in range(0, len(whole), count)]
    return {
        arm: [
            [
                _detected(DetPredictions(one, trial.records, of_seed.classes), trial.weights)
                for one in ([of_seed.detections[place] for place in trial.places], *zip(*of_images))
            ]
            for of_seed, of_images in zip(clean[arm], of_seeds)
        ]
        for arm, of_seeds in found.items()
    }


def _detected(run: DetPredictions, weights: np.ndarray) -> Measured:
    matches = match(run)
    point = {name: float(values[0]) for name, values in resample_detection(matches, np.ones_like(weights[:1])).items()}
    return _kept("det", point, resample_detection(matches, weights))


@dataclass(frozen=True)
class Robustness:
    """The number of corrupted test images, and the comparison of the arms for each corruption, averaged over its
    severities, for all of them together ("all"), and for the same images uncorrupted ("clean")."""

    images: int
    corruptions: dict[str, Comparison]


def summarize(runs: Runs, trial: Trial, confidence: float) -> Robustness:
    """Compare the arms, with intervals of this confidence."""
    conditions = trial.conditions
    flags = {one.corruption: [other.corruption == one.corruption for other in conditions] for one in conditions}
    flags[ALL] = [one.corruption != CLEAN for one in conditions]
    comparisons = {
        name: compare(
            {arm: [_average(itertools.compress(one, chosen)) for one in of_arm] for arm, of_arm in runs.items()},
            confidence,
        )
        for name, chosen in flags.items()
    }
    return Robustness(len(trial.records), comparisons)


def _average(measured: Iterable[Measured]) -> Measured:
    some = list(measured)
    return Measured(
        {name: float(np.mean([one.points[name] for one in some])) for name in some[0].points},
        {name: np.mean([one.resampled[name] for one in some], axis=0) for name in some[0].resampled},
    )


def write_curves(task: str, runs: Runs, conditions: Sequence[Condition], confidence: float) -> None:
    """Write corruption, severity, metric and, for each arm, the mean over seeds and its interval, in 0-1."""
    rows: list[list[object]] = []
    for place, condition in enumerate(conditions):
        for name in corruptible(task):
            levels = [level([of_seed[place] for of_seed in runs[arm]], name, confidence) for arm in ARMS]
            ends = [end for one in levels for end in (one.mean, max(one.low, 0.0), min(one.high, 1.0))]
            rows.append([condition.corruption, condition.severity, name, *ends])
    header = ["corruption", "severity", "metric", *(f"{arm}{end}" for arm in ARMS for end in ("", "_low", "_high"))]
    write_table(TABLES / ROBUSTNESS.format(task=task), header, rows)


def with_corrupted(comparison: Comparison, robustness: Robustness) -> Comparison:
    """The comparison, with the metrics on all corrupted images added; their names begin with corrupted_."""
    corrupted = robustness.corruptions[ALL]
    return Comparison(
        comparison.real | _renamed(corrupted.real),
        comparison.merged | _renamed(corrupted.merged),
        comparison.delta | _renamed(corrupted.delta),
    )


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{CORRUPTED}{name}": value for name, value in values.items()}
