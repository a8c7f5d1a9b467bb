"""Simulated runs of two tasks with all their tested metrics, judged by the rules of diffaug, without training.

The metrics of a task are correlated, over the images and over the models; the two tasks are independent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from simulation import CONFIDENCE, compare_values

from diffaug.evaluation.metrics import METRICS, TASKS, Metric
from diffaug.evaluation.statistics import Difference, holm, verdict
from diffaug.evaluation.verdicts import DECIDED, judge

IMAGES, SEEDS = 500, 3
_CORRELATION = 0.8
_EFFECT = 0.1
_NOISE, _SPREAD = 0.4, 0.03  # of a metric's value on one image; of a model's mean

Key = tuple[str, str]  # task, metric
Effects = Mapping[Key, float]

PRIMARIES = {("cls", "accuracy"), ("det", "mAP50_95")}
FAMILY: dict[Key, Metric] = {(one.task, one.name): one for one in METRICS if one.title and one.tested}


def simulate_run(effects: Effects, generator: np.random.Generator) -> dict[str, Any]:
    """What `judge` reads of details.json. effects: true difference by metric, 0 where it is missing."""
    delta = {task: _simulate_task(task, effects, generator) for task in TASKS}
    return {"confidence": CONFIDENCE, "primary": dict(PRIMARIES), "seeds": SEEDS, "weak": {}, "delta": delta}


def _simulate_task(task: str, effects: Effects, generator: np.random.Generator) -> dict[str, dict[str, Any]]:
    names = [name for of_task, name in FAMILY if of_task == task]
    models = _SPREAD * correlated(len(names), (2, SEEDS, 1), generator)
    values = models + _NOISE * correlated(len(names), (2, SEEDS, IMAGES), generator)
    for place, name in enumerate(names):
        values[place, 1] += effects.get((task, name), 0.0)
    return {name: asdict(compare_values(of_metric)[0]) for name, of_metric in zip(names, values)}


def correlated(count: int, shape: Sequence[int], generator: np.random.Generator) -> np.ndarray:
    """`count` arrays of this shape, standard normal, each pair with the correlation."""
    common, own = generator.standard_normal(shape), generator.standard_normal((count, *shape))
    return np.sqrt(_CORRELATION) * common + np.sqrt(1 - _CORRELATION) * own


def judge_by_rules(details: Mapping[str, Any]) -> dict[Key, str]:
    """The verdicts of diffaug: Holm's correction over the primary metrics, the others behind theirs."""
    return {key: one.verdict for key, one in judge(details).items()}


def judge_as_one_family(details: Mapping[str, Any]) -> dict[Key, str]:
    """The verdicts if Holm's correction is over all metrics of both tasks."""
    differences = {(task, name): Difference(**details["delta"][task][name]) for task, name in FAMILY}
    corrected = holm({key: one.p for key, one in differences.items()})
    return {
        key: verdict(one, corrected[key], CONFIDENCE, SEEDS, FAMILY[key].lower_is_better)
        for key, one in differences.items()
    }


def wrong(verdicts: Mapping[Key, str], effects: Effects) -> set[Key]:
    """The metrics that are said to be better or worse though the arms are alike, or the other way round."""
    return {key for key, said in verdicts.items() if said in DECIDED and said != truth(key, effects)}


def truth(key: Key, effects: Effects) -> str:
    """What a faultless verdict says."""
    effect = effects.get(key, 0.0)
    if not effect:
        return "no difference"
    return "helped" if (effect < 0) == FAMILY[key].lower_is_better else "hurt"


def primary_found(runs: Sequence[Mapping[Key, str]], effects: Effects) -> float | str:
    """How often a verdict on a primary metric with an effect says so; a dash if none has one."""
    keys = [key for key in PRIMARIES if effects.get(key)]
    return float(np.mean([run[key] == truth(key, effects) for run in runs for key in keys])) if keys else "-"


def simulate_verdicts(effects: Effects, count: int, seed: int) -> Iterator[tuple[dict[Key, str], dict[Key, str]]]:
    """Of `count` runs: the verdicts by the rules, and as one family."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        details = simulate_run(effects, generator)
        yield judge_by_rules(details), judge_as_one_family(details)


def _better(*tasks: str, primary: bool = True, others: bool = True) -> dict[Key, float]:
    """An effect that makes the primary metrics or the other ones of these tasks better, or both."""
    return {
        key: -_EFFECT if metric.lower_is_better else _EFFECT
        for key, metric in FAMILY.items()
        if key[0] in tasks and (primary if key in PRIMARIES else others)
    }


SCENARIOS: dict[str, Effects] = {
    "none": {},
    "all metrics of cls": _better("cls"),
    "all metrics of det": _better("det"),
    "all metrics": _better("cls", "det"),
    "primary of cls": _better("cls", others=False),
    "both primaries": _better("cls", "det", others=False),
    "all but the primaries": _better("cls", "det", primary=False),
}
