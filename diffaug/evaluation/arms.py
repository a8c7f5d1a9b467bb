"""Both arms of a task on its real test images: predict, score, compare, and write the tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from diffaug.classifier.network import load_classifier
from diffaug.classifier.predicting import predict_logits, to_tensors
from diffaug.dataset.records import ImageSet
from diffaug.detector.predicting import detect, load_detector
from diffaug.evaluation.classification import (
    ClsPredictions,
    fit_temperature,
    resample_classification,
    score_classification,
)
from diffaug.evaluation.comparison import Comparison, Measured, compare
from diffaug.evaluation.confusion import write_detection
from diffaug.evaluation.corruptions import choose_images, list_conditions
from diffaug.evaluation.detection import DetPredictions, match, resample_detection, score_detection
from diffaug.evaluation.floor import too_weak
from diffaug.evaluation.metrics import ARMS
from diffaug.evaluation.robustness import (
    Models,
    Robustness,
    Runs,
    Trial,
    classify_corrupted,
    detect_corrupted,
    summarize,
    with_corrupted,
    write_curves,
)
from diffaug.evaluation.statistics import image_weights
from diffaug.evaluation.tables import write_classification, write_per_class, write_resampled, write_seeds
from diffaug.params.evaluate import EvaluateParams


@dataclass(frozen=True)
class Answer:
    """The comparison of both arms, also on corrupted images if the params ask for it; weak: why the models are too weak
    for a verdict, None if they are not."""

    comparison: Comparison
    robustness: Robustness | None
    weak: str | None


def evaluate_classifiers(
    test: ImageSet, val: ImageSet, params: EvaluateParams, seeds: Sequence[int], device: torch.device
) -> Answer:
    """Compare both arms' classifiers. val: real images, on which each classifier's temperature is fitted."""
    networks, size = _networks("cls", lambda folder: load_classifier(folder, device), seeds)
    known, unknown = to_tensors(val, size, device), to_tensors(test, size, device)

    def predict(network: Any) -> ClsPredictions:
        temperature = fit_temperature(predict_logits(network, known.images).cpu(), known.labels.cpu())
        probabilities = predict_logits(network, unknown.images).softmax(dim=1).cpu()
        return ClsPredictions(probabilities, unknown.labels.cpu(), temperature)

    runs = {arm: [predict(network) for network in networks[arm]] for arm in ARMS}
    write_classification(runs, test, seeds)
    weights = image_weights(len(test), params.resamples, params.seed)
    measured = {
        arm: [Measured(score_classification(run), resample_classification(run, weights)) for run in runs[arm]]
        for arm in ARMS
    }
    return _compared(
        "cls", test, measured, params, seeds, lambda trial: classify_corrupted(networks, runs, trial, size, device)
    )


def evaluate_detectors(test: ImageSet, params: EvaluateParams, seeds: Sequence[int], device: torch.device) -> Answer:
    """Compare both arms' detectors."""
    networks, size = _networks("det", load_detector, seeds)
    classes = len(test.names)
    runs = {
        arm: [DetPredictions(detect(yolo, test.records, size, device), test.records, classes) for yolo in networks[arm]]
        for arm in ARMS
    }
    write_detection(runs, test.names)
    scored = {arm: [score_detection(run) for run in runs[arm]] for arm in ARMS}
    write_per_class("det", test.names, {arm: [values.tolist() for _, values in scored[arm]] for arm in ARMS})
    weights = image_weights(len(test), params.resamples, params.seed)
    measured = {
        arm: [
            Measured(points, resample_detection(match(run), weights))
            for run, (points, _) in zip(runs[arm], scored[arm])
        ]
        for arm in ARMS
    }
    return _compared(
        *("det", test, measured, params, seeds),
        lambda trial: detect_corrupted(networks, runs, trial, size, device),
    )


def _networks(task: str, load: Callable[[Path], Any], seeds: Sequence[int]) -> tuple[Models, int]:
    """By arm, the networks of all seeds; and the side of their input in pixels."""
    loaded = {arm: [load(Path(f"models/{task}/{arm}-{seed}")) for seed in seeds] for arm in ARMS}
    networks = {arm: [network for network, _ in of_arm] for arm, of_arm in loaded.items()}
    return networks, loaded["real"][0][1]["image_size"]


def _compared(
    task: str,
    test: ImageSet,
    measured: Mapping[str, Sequence[Measured]],
    params: EvaluateParams,
    seeds: Sequence[int],
    run: Callable[[Trial], Runs],
) -> Answer:
    """The comparison, including that on corrupted images, which `run` measures."""
    write_seeds(task, measured, seeds)
    primary = getattr(params.primary, task)
    write_resampled(task, measured, primary, seeds)
    comparison = compare(measured, params.confidence)
    weak = too_weak(task, measured, test, params.confidence, primary)
    if params.robustness is None:
        return Answer(comparison, None, weak)
    places = choose_images(len(test), params.robustness, params.seed)
    weights = image_weights(len(places), params.resamples, params.seed)
    records = [test.records[place] for place in places]
    trial = Trial(places, records, list_conditions(params.robustness), weights, params.seed)
    runs = run(trial)
    write_curves(task, runs, trial.conditions, params.confidence)
    robustness = summarize(runs, trial, params.confidence)
    return Answer(with_corrupted(comparison, robustness), robustness, weak)
