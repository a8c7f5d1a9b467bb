"""`diffaug tune`: which ratio, strength, guidance or threshold? A grid of settings, scored on val; the best one is
measured on test, once."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from diffaug.commands.experiments import Experiment, read_file, read_output, run_all
from diffaug.evaluation.metrics import ARMS, TASKS
from diffaug.evaluation.tables import DETAILS_FILE
from diffaug.params import Params
from diffaug.report.tuning import Point, best, point, tuning_table, write_tuning
from diffaug.report.verdict import verdict_table
from diffaug.runtime.errors import UserError
from diffaug.runtime.tables import parse_table
from diffaug.runtime.yaml_files import parse_yaml
from diffaug.training.history import CURVES

_TRAININGS = tuple(f"train_{task}{arm}" for task in TASKS for arm in ("", "_merged"))
_MOST = 200  # settings of a grid
_SECTIONS = ("draws", "train_gen", "generate", "filter", "merge", "train_cls", "train_det")


def tune(params: Params, axes: Sequence[str], task: str | None) -> str:
    """Train with every combination of the axes (KEY=VALUE,VALUE,...), choose the one whose merged arm is best on real
    val, and measure it once on test, with other seeds: the models that won on val were lucky too, and would say
    "helped" too often. Writes metrics/tune.csv and metrics/tune.png; returns both tables as text.

    task: the one whose val decides; None: cls if there is one. Raises UserError.
    """
    task = task or ("cls" if params.download.cls is not None else "det")
    if getattr(params.download, task) is None:
        raise UserError(f"tune: download.{task} is null, so it has no val; leave out --task {task}")
    _refuse_other_sections(axes)
    grid = plan_grid(axes)
    trials = [Experiment("tune", task, assignments, _TRAININGS) for assignments in grid]
    tried = params.evaluate.tried - 1 + len(grid)  # with those of an earlier grid, one of which is the present setting
    fresh = json.dumps(fresh_seeds(params.seeds))
    chosen = [Experiment("tune", "best", (*one, f"seeds={fresh}", f"evaluate.tried={tried}")) for one in grid]
    for trial in (*trials, *chosen):
        trial.check(params)
    points = [
        _point(trial, commit, task, params.seeds, params.evaluate.confidence)
        for trial, commit in zip(trials, run_all(trials, params))
    ]
    place = points.index(best(points))
    write_tuning(points, task, Path("metrics/tune.csv"), Path("metrics/tune.png"))
    (commit,) = run_all([chosen[place]], params)
    details = json.loads(read_file(commit, DETAILS_FILE))
    return "\n".join(
        [
            tuning_table(points, task),
            "",
            f"Best on val: {points[place].name}. On real test images, with the seeds {fresh}, which chose nothing:",
            verdict_table(details),
            f"To use it, put {', '.join(grid[place])} into params.yaml, or run `dvc exp apply "
            f"{chosen[place].reference}`.",
        ]
    )


def fresh_seeds(seeds: Sequence[int]) -> list[int]:
    """As many seeds that are not among these."""
    start = max(seeds) + 1
    return list(range(start, start + len(seeds)))


def _refuse_other_sections(axes: Sequence[str]) -> None:
    """Raises UserError if an axis changes no training, or changes the seeds or the images on which all are compared."""
    for axis in axes:
        key = axis.partition("=")[0]
        if key and key.partition(".")[0] not in _SECTIONS:
            raise UserError(
                f"tune: {key} cannot be tuned, since settings are compared by trainings with the same seeds and real "
                f"images; name a key of {', '.join(_SECTIONS)}"
            )


def plan_grid(axes: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination as assignments. Raises UserError if an axis is not KEY=VALUE,VALUE,... or is named twice."""
    values: dict[str, list[Any]] = {}
    for axis in axes:
        key, equals, text = axis.partition("=")
        try:
            found = parse_yaml(f"[{text}]") if equals and key else None
        except (yaml.YAMLError, ValueError):
            found = None
        if not found or any(one in found[:place] for place, one in enumerate(found)):
            raise UserError(
                f"tune: {axis!r} is not KEY=VALUE,VALUE,... with each value once, such as merge.ratio=0.5,1,2"
            )
        if key in values:
            raise UserError(f"tune: {key} is given twice; name all its values in one place")
        values[key] = found
    grid = [
        tuple(f"{key}={json.dumps(one)}" for key, one in zip(values, combination))
        for combination in itertools.product(*values.values())
    ]
    if not 2 <= len(grid) <= _MOST:
        raise UserError(f"tune: {len(grid)} settings; give 2 to {_MOST}")
    return grid


def _point(trial: Experiment, commit: str, task: str, seeds: Sequence[int], confidence: float) -> Point:
    """The best value on val of every model of both arms."""
    scores: Mapping[str, list[float]] = {
        arm: [
            max(
                float(row[TASKS[task].val])
                for row in parse_table(read_output(commit, CURVES / task / f"{arm}-{seed}.csv"))
            )
            for seed in seeds
        ]
        for arm in ARMS
    }
    return point(trial.assignments, scores, confidence)
