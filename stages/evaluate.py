"""Measure on real test images whether it helped: reads data/real test (for classification also val, to scale the
confidence), the training sets of the merged arm, all models and their curves; writes metrics/metrics.json (the few
numbers to compare runs by), metrics/details.json and metrics/tables.

Alone: python stages/evaluate.py
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import diffaug.runtime.start  # noqa: F401 - first, so that Ctrl-C is one line while the others are imported
from diffaug.dataset.records import ImageSet, read_set
from diffaug.evaluation.arms import Answer, evaluate_classifiers, evaluate_detectors
from diffaug.evaluation.floor import majority
from diffaug.evaluation.merged import chosen_on_val, remarks, unaudited
from diffaug.evaluation.metrics import TASKS
from diffaug.evaluation.tables import DETAILS_FILE, METRICS_FILE, TABLES, write_training
from diffaug.evaluation.verdicts import summary
from diffaug.hub.saved import input_in_words
from diffaug.params import Params
from diffaug.runtime.device import choose_device
from diffaug.runtime.files import atomic_path
from diffaug.runtime.seals import seal
from diffaug.stage import run_stage
from diffaug.training.history import CURVES
from diffaug.training.treatment import treatment_of

_BY_TASK = ("recipe", "added", "test_images", "majority", "weak", "real", "delta", "robustness", "input")


def evaluate(params: Params, work: Path) -> Mapping[str, float]:
    """Predict with every model of both arms, score, compare."""
    details: dict[str, Any] = {
        "confidence": params.evaluate.confidence,
        "primary": params.evaluate.primary.model_dump(),
        "seeds": len(params.seeds),
        "draws": params.draws,
        "ratio": params.merge.ratio,
        **{name: {} for name in _BY_TASK},
    }
    TABLES.mkdir(parents=True, exist_ok=True)
    for stale in TABLES.iterdir():
        stale.unlink()
    notes: set[str] = set()
    for task in TASKS:
        test = read_set(Path(f"data/real/{task}/test"))
        if len(test):
            answer = _compare(task, test, params)
            details[task] = answer.comparison.merged
            for name, value in _of_task(task, answer, params, notes).items():
                details[name][task] = value
            details["test_images"][task] = len(test)
            if task == "cls":
                details["majority"][task] = majority(test)
    seal(TABLES)
    if len(params.seeds) == 1:
        notes.add(
            "one seed per arm decides nothing: it shows how the pipeline works; a verdict needs two seeds or more"
        )
    if params.evaluate.tried > 1:
        notes.add(chosen_on_val(params.evaluate.tried))
    if notes:
        details["notes"] = sorted(notes)
    for path, content in ((METRICS_FILE, summary(details)), (DETAILS_FILE, details)):
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return {"images": sum(details["test_images"].values())}


def _of_task(task: str, answer: Answer, params: Params, notes: set[str]) -> dict[str, Any]:
    """The task's values in details.json by key; what a reader must know besides goes into `notes`."""
    write_training(task, CURVES / task, params.seeds)
    sets = [read_set(Path(f"data/merged/{seed}/{task}/train")) for seed in params.seeds]
    notes |= remarks(task, sets, params.merge)
    found: dict[str, Any] = {
        "recipe": treatment_of(sets[0]).recipe,
        "added": [treatment_of(images).added for images in sets],
        "input": input_in_words(Path(f"models/{task}/merged-{params.seeds[0]}")),
        "real": answer.comparison.real,
        "delta": answer.comparison.delta,
    }
    if answer.robustness:
        found["robustness"] = asdict(answer.robustness)
    if weak := answer.weak or unaudited(sets):
        found["weak"] = weak
    return found


def _compare(task: str, test: ImageSet, params: Params) -> Answer:
    if task == "det":
        return evaluate_detectors(test, params.evaluate, params.seeds, choose_device())
    val = read_set(Path("data/real/cls/val"))
    return evaluate_classifiers(test, val, params.evaluate, params.seeds, choose_device())


if __name__ == "__main__":
    run_stage("evaluate", evaluate)
