"""Measure on real test images whether it helped: reads data/real test, the training sets of the merged arm, all models
and their curves; writes metrics/metrics.json (the few numbers to compare runs by), metrics/details.json and
metrics/tables.

Alone: python stages/evaluate.py
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import diffaug.runtime.start  # noqa: F401 - first, so that Ctrl-C is one line while the others are imported
from diffaug.dataset.provenance import models_of
from diffaug.dataset.records import ImageSet, read_set
from diffaug.evaluation.arms import evaluate_classifiers, evaluate_detectors
from diffaug.evaluation.tables import DETAILS_FILE, METRICS_FILE, TABLES, write_training
from diffaug.evaluation.verdicts import summary
from diffaug.hub.licence import licence_warning
from diffaug.hub.saved import input_in_words
from diffaug.params import Params
from diffaug.runtime.device import choose_device
from diffaug.runtime.files import atomic_path
from diffaug.runtime.seals import seal
from diffaug.stage import run_stage
from diffaug.training.history import CURVES
from diffaug.training.treatment import SHORT, treatment_of

TASKS = {"cls": evaluate_classifiers, "det": evaluate_detectors}


def evaluate(params: Params, work: Path) -> Mapping[str, float]:
    """Predict with every model of both arms, score, compare."""
    details: dict[str, Any] = {
        "confidence": params.evaluate.confidence,
        "seeds": len(params.seeds),
        "ratio": params.merge.ratio,
        **{name: {} for name in ("recipe", "added", "test_images", "real", "delta", "robustness", "input")},
    }
    TABLES.mkdir(parents=True, exist_ok=True)
    for stale in TABLES.iterdir():
        stale.unlink()
    warnings: set[str] = set()
    for task, run in TASKS.items():
        test, merged = read_set(Path(f"data/real/{task}/test")), read_set(Path(f"data/merged/{task}/train"))
        if not len(test):
            continue
        treatment = treatment_of(merged)
        details["recipe"][task], details["added"][task] = treatment.recipe, treatment.added
        details["test_images"][task] = len(test)
        found, robustness = run(test, params.evaluate, params.seeds, choose_device())
        if robustness:
            details["robustness"][task] = asdict(robustness)
        details["real"][task], details[task], details["delta"][task] = found.real, found.merged, found.delta
        details["input"][task] = input_in_words(Path(f"models/{task}/merged-{params.seeds[0]}"))
        write_training(task, CURVES / task, params.seeds)
        warnings |= _licence_warnings(merged)
        if SHORT in merged.about:
            missing = "; ".join(merged.about[SHORT])
            warnings.add(f"{task}: fewer images were added than {params.merge.amount} asks for: {missing}")
    seal(TABLES)
    if len(params.seeds) == 1:
        warnings.add(
            "one seed per arm decides nothing: it shows how the pipeline works; a verdict needs two seeds or more"
        )
    if warnings:
        details["notes"] = sorted(warnings)
    for path, content in ((METRICS_FILE, summary(details)), (DETAILS_FILE, details)):
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return {"images": sum(details["test_images"].values())}


def _licence_warnings(merged: ImageSet) -> set[str]:
    """Licence warnings of the models that drew images of the training set."""
    models = {model for record in merged for model in models_of(record.model, record.licence, record.settings)}
    return {warning for name, licence in models if (warning := licence_warning(name, licence))}


if __name__ == "__main__":
    run_stage("evaluate", evaluate)
