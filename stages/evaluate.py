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

from diffaug.classifier.network import load_classifier
from diffaug.classifier.predicting import predict_logits, to_tensors
from diffaug.dataset.codec import to_rgb_array
from diffaug.dataset.records import ImageSet, Record, read_set
from diffaug.detector.predicting import detect, load_detector
from diffaug.evaluation.classification import (
    ClsPredictions,
    resample_classification,
    score_classification,
)
from diffaug.evaluation.comparison import ARMS, Comparison, Measured, compare
from diffaug.evaluation.corruptions import draw_images, list_conditions
from diffaug.evaluation.detection import DetPredictions, match, resample_detection, score_detection
from diffaug.evaluation.robustness import (
    Models,
    Robustness,
    Runs,
    Trial,
    as_seen,
    classify_corrupted,
    curve_rows,
    detect_corrupted,
    summarize,
    with_corrupted,
)
from diffaug.evaluation.statistics import image_weights
from diffaug.hub.licence import licence_warning
from diffaug.params import Params
from diffaug.params.evaluate import EvaluateParams
from diffaug.report.cards import write_cards
from diffaug.report.classification import write_classification
from diffaug.report.corrupted import corrupted_sheet
from diffaug.report.page import PAGE, write_page
from diffaug.report.sheet import save_png
from diffaug.report.tables import per_class, training_curves, write_csv, write_seeds
from diffaug.report.task import CORRUPTED, ROBUSTNESS, SEEDS, TaskReport, build_task_report
from diffaug.report.verdict import METRICS
from diffaug.runtime.device import choose_device
from diffaug.runtime.files import atomic_path
from diffaug.stage import run_stage
from diffaug.training.treatment import treatment_of

PLOTS, CARDS = Path("metrics/plots"), Path("metrics/cards")
CURVES = {"cls": "val_accuracy", "det": "val_mAP50_95"}


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
        "robustness": {},
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
        treatment = treatment_of(read_set(Path(f"data/merged/{task}/train")))
        metrics["recipe"][task], metrics["added"][task] = treatment.recipe, treatment.added
        metrics["test_images"][task] = len(test)
        found, robustness = run_task(test, params)
        if robustness:
            metrics["robustness"][task] = asdict(robustness)
            found = with_corrupted(found, robustness)
        metrics["real"][task], metrics[task], metrics["delta"][task] = found.real, found.merged, found.delta
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
        write_cards(CARDS, task, metrics, source, report.names, generators, PLOTS)
    write_page(PAGE, metrics, reports, PLOTS, generators, Path("params.yaml").read_text(encoding="utf-8"))
    return {"images": sum(metrics["test_images"].values())}


def _classification(test: ImageSet, params: Params) -> tuple[Comparison, Robustness | None]:
    device = choose_device()
    networks, size = _networks("cls", lambda folder: load_classifier(folder, device), params.seeds)
    tensors = to_tensors(test, size, device)
    labels = tensors.labels.cpu()
    runs = {
        arm: [ClsPredictions(predict_logits(one, tensors.images).softmax(dim=1).cpu(), labels) for one in networks[arm]]
        for arm in ARMS
    }
    write_classification(PLOTS, runs, test, params.seeds)
    weights = image_weights(len(test), params.evaluate.resamples, params.evaluate.seed)
    measured = {
        arm: [Measured(score_classification(run), resample_classification(run, weights)) for run in runs[arm]]
        for arm in ARMS
    }
    write_seeds(PLOTS / f"cls_{SEEDS}", measured, params.seeds)
    robustness = _robustness(
        *("cls", test, params.evaluate),
        lambda trial: classify_corrupted(networks, trial, size, device),
        lambda record: to_rgb_array(record.open(), size),
    )
    return compare(measured, params.evaluate.confidence), robustness


def _detection(test: ImageSet, params: Params) -> tuple[Comparison, Robustness | None]:
    device = choose_device()
    networks, size = _networks("det", load_detector, params.seeds)
    runs = {
        arm: [
            DetPredictions(detect(yolo, test.records, size, device), test.records, len(test.names))
            for yolo in networks[arm]
        ]
        for arm in ARMS
    }
    scored = {arm: [score_detection(run) for run in runs[arm]] for arm in ARMS}
    by_class = {arm: [values.tolist() for _, values in scored[arm]] for arm in ARMS}
    write_csv(PLOTS / "det_per_class_mAP50_95.csv", ["class", *ARMS], per_class(test.names, by_class))
    weights = image_weights(len(test), params.evaluate.resamples, params.evaluate.seed)
    resampled = {arm: [resample_detection(match(run), weights) for run in runs[arm]] for arm in ARMS}
    measured = {
        arm: [Measured(points, under) for (points, _), under in zip(scored[arm], resampled[arm])] for arm in ARMS
    }
    write_seeds(PLOTS / f"det_{SEEDS}", measured, params.seeds)
    robustness = _robustness(
        *("det", test, params.evaluate),
        lambda trial: detect_corrupted(networks, trial, len(test.names), size, device),
        lambda record: as_seen(to_rgb_array(record.open()), size),
    )
    return compare(measured, params.evaluate.confidence), robustness


def _networks(task: str, load: Callable[[Path], Any], seeds: Sequence[int]) -> tuple[Models, int]:
    """By arm, the networks of all seeds; and the side in pixels that they see images at."""
    loaded = {arm: [load(Path(f"models/{task}/{arm}-{seed}")) for seed in seeds] for arm in ARMS}
    networks = {arm: [network for network, _ in of_arm] for arm, of_arm in loaded.items()}
    return networks, loaded["real"][0][1]["image_size"]


def _robustness(
    task: str,
    test: ImageSet,
    params: EvaluateParams,
    run: Callable[[Trial], Runs],
    seen: Callable[[Record], np.ndarray],
) -> Robustness | None:
    """Both arms on corrupted test images, if the params ask for it; writes the curves, and what the corruptions do to
    the first image. seen: an image's pixels, uint8 (H, W, 3), as the networks see them."""
    if params.robustness is None:
        return None
    records = draw_images(test.records, params.robustness, params.seed)
    weights = image_weights(len(records), params.resamples, params.seed)
    trial = Trial(records, list_conditions(params.robustness), weights, params.seed)
    versions = trial.versions(records[0], seen(records[0]))
    save_png(corrupted_sheet(versions, trial.conditions), PLOTS / f"{task}_{CORRUPTED}")
    runs = run(trial)
    header = ["corruption", "severity", "metric", *(f"{arm}{end}" for arm in ARMS for end in ("", "_low", "_high"))]
    write_csv(PLOTS / f"{task}_{ROBUSTNESS}", header, curve_rows(runs, trial.conditions, params.confidence))
    return summarize(runs, trial, params.confidence)


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
