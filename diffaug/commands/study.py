"""`diffaug study`: runs the pipeline once for every recipe and ratio, as DVC experiments."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from diffaug.evaluation.metrics import TASKS
from diffaug.evaluation.tables import DETAILS_FILE
from diffaug.params import Params
from diffaug.params.messages import one_line
from diffaug.report.study import Run, study_rows, study_table, worth, write_study
from diffaug.runtime.errors import UserError
from diffaug.runtime.processes import run_to_its_end
from diffaug.runtime.yaml_files import parse_yaml

_PIPELINE = ("dvc.yaml", "dvc.lock", "diffaug", "stages", "prompts")  # and params.yaml


def experiment(run: Run) -> str:
    """The name of its experiment; experiments are listed by the commit on which they are based."""
    return f"study-{run.recipe.replace('_', '-')}-{run.ratio:g}".replace(".", "p")


def plan_study(params: Params) -> list[Run]:
    """The runs of the params, in their order. Raises UserError if one cannot be run."""
    runs = [Run(recipe, ratio) for recipe, ratios in params.study.items() for ratio in ratios]
    if not runs:
        raise UserError("params.yaml: study: no recipe is given; name some with their ratios, such as synthetic: [1.0]")
    for run in runs:
        changed = params.model_dump(mode="json", exclude_unset=True)
        changed["merge"] |= {"recipe": run.recipe, "ratio": run.ratio, "target": None}
        try:
            Params.model_validate(changed)
        except ValidationError as error:
            raise UserError(
                f"study: {run.recipe} at {run.ratio:g}: {one_line(Path('params.yaml'), error, Params)}"
            ) from None
    return runs


def study(params: Params) -> str:
    """Do the missing runs, write metrics/study.csv and metrics/study.png; the table as text. Raises UserError."""
    rows = study_rows(run_study(plan_study(params), params))
    if not rows:
        raise UserError("study: no run added anything to either task; see the section study of params.yaml")
    write_study(rows, Path("metrics/study.csv"), Path("metrics/study.png"))
    worths = [said for task in TASKS if (said := worth(rows, task))]
    return "\n".join([study_table(rows), *worths])


def run_study(runs: Sequence[Run], params: Params) -> list[tuple[Run, dict[str, Any]]]:
    """Every run's metrics. Finished runs are not repeated; each of the others is an experiment in its own folder, which
    uses the cache and does not change the workspace.

    Raises UserError if the workspace has changes (they would be part of every run), if the pipeline has not run, or if
    an experiment fails.
    """
    _refuse_changes()
    results = []
    for number, run in enumerate(runs, 1):
        found = _metrics(run)
        before = ": done before" if found else ""
        print(f"study: {number} of {len(runs)}: {run.recipe}, ratio {run.ratio:g}{before}", flush=True)
        if found is None:
            changes = (f"merge.recipe={run.recipe}", f"merge.ratio={run.ratio:g}", "merge.target=null")
            command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", experiment(run)]
            command += [argument for change in changes for argument in ("-S", change)]
            command += [argument for path in _weights(params) for argument in ("--copy-paths", path)]
            # The stages of dvc.yaml call `python`, which must be the interpreter that runs this.
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
            if run_to_its_end(command, {"PATH": path}):
                raise UserError(
                    f"study: {experiment(run)} failed, see above; finished runs are kept: correct the error and run "
                    "`diffaug study` again"
                )
            found = _metrics(run)
        if found is None:
            raise UserError(f"study: {experiment(run)} wrote no {DETAILS_FILE}; run `dvc exp show` to see why")
        results.append((run, found))
    return results


def _weights(params: Params) -> list[str]:
    """Initial weights that the params name by a path below the project; an experiment's own folder would lack them."""
    named = [params.train_cls.weights, params.train_det.weights]
    return [one for one in named if isinstance(one, str) and not Path(one).is_absolute() and Path(one).is_file()]


def _refuse_changes() -> None:
    changed = [line for line in _git("status", "--porcelain").splitlines() if not line.startswith("??")]
    if changed:
        raise UserError(
            f"study: {changed[0].split()[-1]} has uncommitted changes, which would be part of every run: run "
            "`dvc repro`, then `git commit -a`"
        )
    if not _git("ls-files", "dvc.lock"):
        raise UserError(
            "study: dvc.lock is not committed; run `dvc repro`, then commit it, metrics/metrics.json and "
            "metrics/details.json"
        )


def _metrics(run: Run) -> dict[str, Any] | None:
    """The metrics of the experiment of this name, if it is based on the checked-out commit, or on another with the same
    pipeline: commits that change other files, or add runs to the study, do not invalidate finished runs."""
    for line in _git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines():
        # refs/exps/FIRST 2 DIGITS/THE OTHER 38/NAME, of the commit on which it is based
        parts = line.split("/")
        if len(parts) == 5 and parts[4] == experiment(run) and _same_pipeline(parts[2] + parts[3]):
            return json.loads(_git("show", f"{line}:{DETAILS_FILE.as_posix()}"))
    return None


def _same_pipeline(commit: str) -> bool:
    if _git("diff", "--name-only", commit, "HEAD", "--", *_PIPELINE):
        return False
    try:
        then, now = (parse_yaml(_git("show", f"{one}:params.yaml")) for one in (commit, "HEAD"))
    except (yaml.YAMLError, ValueError):
        return False
    return all(then.get(key) == now.get(key) for key in then.keys() | now.keys() if key != "study")


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        reason = " ".join((getattr(error, "stderr", "") or str(error)).split())
        raise UserError(
            f"study: git {arguments[0]} failed ({reason}); run it in the project's git repository"
        ) from None
