"""Say on real test images whether it helped: reads data/real test, all models and, for the report, the other images;
writes metrics/metrics.json, metrics/report.html, metrics/plots and metrics/cards.

Alone: python stages/evaluate.py
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffaug.classifier import load_classifier, predict_logits, to_tensors
from diffaug.detector.predicting import detect, load_detector
from diffaug.device import choose_device
from diffaug.diffusion.licence import licence_warning
from diffaug.evaluation.classification import (
    ClsPredictions,
    per_class_accuracy,
    resample_classification,
    score_classification,
)
from diffaug.evaluation.detection import DetPredictions, match, resample_detection, score_detection
from diffaug.files import atomic_path
from diffaug.params import Params
from diffaug.params.training import EvaluateParams
from diffaug.records import ImageSet, read_set
from diffaug.report.cards import write_cards
from diffaug.report.page import PAGE, write_page
from diffaug.report.tables import ARMS, per_class, training_curves, write_csv
from diffaug.report.task import CHANGED, TaskReport, build_task_report
from diffaug.report.verdict import METRICS
from diffaug.sampling import read_treatment
from diffaug.stage import run_stage
from diffaug.statistics import changed_sides, image_weights, paired_difference

PLOTS, CARDS = Path("metrics/plots"), Path("metrics/cards")
CURVES = {"cls": "val_accuracy", "det": "val_mAP50_95"}
Runs = Mapping[str, Sequence[Any]]


def evaluate(params: Params, work: Path) -> Mapping[str, float]:
    """Predict with every model of both arms, score, compare, draw."""
    metrics: dict[str, Any] = {
        "confidence": params.evaluate.confidence,
        "seeds": len(params.seeds),
        "ratio": params.merge.ratio,
        "recipe": {},
        "added": {},
        "test_images": {},
        "real": {},
        "delta": {},
    }
    reports: dict[str, TaskReport] = {}
    PLOTS.mkdir(parents=True, exist_ok=True)
    for stale in PLOTS.iterdir():
        stale.unlink()
    tasks: dict[str, Callable] = {"cls": _classification, "det": _detection}
    for task, run_task in tasks.items():
        test = read_set(Path(f"data/real/{task}/test"))
        if not len(test):
            continue
        treatment = read_treatment(Path(f"data/merged/{task}/train"))
        metrics["recipe"][task], metrics["added"][task] = treatment.recipe, treatment.added
        metrics["test_images"][task] = len(test)
        metrics["real"][task], metrics[task], metrics["delta"][task] = run_task(test, params)
        curves = training_curves(Path("models") / task, params.seeds, CURVES[task])
        write_csv(PLOTS / f"{task}_training.csv", ["step", *ARMS], curves)
        reports[task] = build_task_report(task, params.evaluate, PLOTS)
    models = _generators(tasks)
    if notes := [note for name, licence in models if (note := licence_warning(name, licence))]:
        metrics["notes"] = notes
    with atomic_path(METRICS) as temporary:
        temporary.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    generators = [f"{name} (licence: {licence or 'not stated'})" for name, licence in models]
    for task, report in reports.items():
        source = getattr(params.download, task).source
        write_cards(CARDS, task, metrics, source, report.names, generators)
    write_page(PAGE, metrics, reports, PLOTS, generators, Path("params.yaml").read_text(encoding="utf-8"))
    return {"images": sum(metrics["test_images"].values())}


def _classification(test: ImageSet, params: Params) -> tuple[dict, dict, dict]:
    device = choose_device()
    runs: dict[str, list[ClsPredictions]] = {arm: [] for arm in ARMS}
    for arm in ARMS:
        for seed in params.seeds:
            model, facts = load_classifier(Path(f"models/cls/{arm}-{seed}"), device)
            tensors = to_tensors(test, facts["image_size"], device)
            probabilities = predict_logits(model, tensors.images).softmax(dim=1)
            runs[arm].append(ClsPredictions(probabilities.cpu(), tensors.labels.cpu()))
        confusion = [
            [test.names[int(label)], test.names[int(predicted)]]
            for run in runs[arm]
            for label, predicted in zip(run.labels, run.predicted)
        ]
        write_csv(PLOTS / f"cls_confusion_{arm}.csv", ["actual", "predicted"], confusion)
    by_class = {arm: [per_class_accuracy(run).tolist() for run in runs[arm]] for arm in ARMS}
    write_csv(PLOTS / "cls_per_class_accuracy.csv", ["class", *ARMS], per_class(test.names, by_class))
    weights = image_weights(len(test), params.evaluate.resamples, params.evaluate.seed)
    scores = {arm: [score_classification(run) for run in runs[arm]] for arm in ARMS}
    resampled = {arm: [resample_classification(run, weights) for run in runs[arm]] for arm in ARMS}
    sides = [
        {"seed": seed, **asdict(changed_sides(first.hits, second.hits))}
        for seed, first, second in zip(params.seeds, runs["real"], runs["merged"])
    ]
    write_csv(PLOTS / "cls_changed_sides.csv", list(sides[0]), [list(row.values()) for row in sides])
    write_csv(
        PLOTS / CHANGED, ["id", *(f"{arm}_{what}" for arm in ARMS for what in ("right", "seen"))], _images(runs, test)
    )
    return _compare(scores, resampled, params.evaluate)


def _images(runs: Mapping[str, Sequence[ClsPredictions]], test: ImageSet) -> list[list[object]]:
    """For every test image and arm, how many seeds' models are right, and the class that most of them see."""
    columns: list[Sequence[object]] = [[record.id for record in test]]
    for arm in ARMS:
        seen = torch.stack([run.predicted for run in runs[arm]]).mode(dim=0).values
        columns += [
            np.sum([run.hits for run in runs[arm]], axis=0).tolist(),
            [test.names[label] for label in seen.tolist()],
        ]
    return [list(row) for row in zip(*columns)]


def _detection(test: ImageSet, params: Params) -> tuple[dict, dict, dict]:
    device = choose_device()
    runs: dict[str, list[DetPredictions]] = {arm: [] for arm in ARMS}
    for arm in ARMS:
        for seed in params.seeds:
            yolo, facts = load_detector(Path(f"models/det/{arm}-{seed}"))
            found = detect(yolo, test.records, facts["image_size"], device)
            runs[arm].append(DetPredictions(found, test.records, len(test.names)))
    scored = {arm: [score_detection(run) for run in runs[arm]] for arm in ARMS}
    by_class = {arm: [values.tolist() for _, values in scored[arm]] for arm in ARMS}
    write_csv(PLOTS / "det_per_class_mAP50_95.csv", ["class", *ARMS], per_class(test.names, by_class))
    weights = image_weights(len(test), params.evaluate.resamples, params.evaluate.seed)
    scores = {arm: [points for points, _ in scored[arm]] for arm in ARMS}
    resampled = {arm: [resample_detection(match(run), weights) for run in runs[arm]] for arm in ARMS}
    return _compare(scores, resampled, params.evaluate)


def _compare(scores: Runs, resampled: Runs, params: EvaluateParams) -> tuple[dict, dict, dict]:
    """Mean over seeds of both arms, and every metric's paired difference with its interval."""
    names = list(scores["real"][0])
    real, merged = ({name: _mean([run[name] for run in scores[arm]]) for name in names} for arm in ARMS)
    delta = {
        name: asdict(
            paired_difference(
                [(first[name], second[name]) for first, second in zip(scores["real"], scores["merged"])],
                [(first[name], second[name]) for first, second in zip(resampled["real"], resampled["merged"])],
                params.confidence,
            )
        )
        for name in names
    }
    return real, merged, delta


def _mean(values: Sequence[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).mean())


def _generators(tasks: Iterable[str]) -> list[tuple[str, str | None]]:
    """The names and licences of all models that drew."""
    rows = [record for task in tasks for record in read_set(Path(f"data/generated/{task}"))]
    models = {(record.model, record.licence) for record in rows if record.model}
    for text in sorted({record.settings for record in rows if record.settings}):
        settings = json.loads(text)
        if settings.get("controlnet"):
            models.add((settings["controlnet"]["model"]["name"], settings["controlnet_licence"]))
    return sorted(models, key=str)


if __name__ == "__main__":
    run_stage("evaluate", evaluate)
