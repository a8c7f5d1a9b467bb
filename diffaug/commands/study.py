"""`diffaug study`: runs the pipeline once for every entry of params.yaml's section study, as DVC experiments."""

import json
from pathlib import Path

from diffaug.commands.experiments import Experiment, read_file, read_output, run_all
from diffaug.evaluation.tables import DETAILS_FILE, RESAMPLED, TABLES
from diffaug.params import Params
from diffaug.report.study import Result, study_text, write_study
from diffaug.runtime.errors import UserError
from diffaug.runtime.tables import parse_table


def plan_study(params: Params) -> list[Experiment]:
    """The runs of the params, in their order. Raises UserError if one cannot be run."""
    runs = [Experiment("study", name, tuple(values)) for name, values in params.study.items() if values is not None]
    if not runs:
        raise UserError(
            "params.yaml: study: nothing is named; give entries such as `duplicate: [merge.recipe=duplicate]`"
        )
    for run in runs:
        run.check(params)
    return runs


def study(params: Params) -> str:
    """Do the missing runs, write metrics/study.csv and metrics/study.png; the tables as text. Raises UserError."""
    runs = plan_study(params)
    results = [_result(run.name, commit) for run, commit in zip(runs, run_all(runs, params))]
    text = study_text(results)
    write_study(results, Path("metrics/study.csv"), Path("metrics/study.png"))
    return text


def _result(name: str, commit: str) -> Result:
    details = json.loads(read_file(commit, DETAILS_FILE))
    resampled = {
        task: parse_table(read_output(commit, TABLES / RESAMPLED.format(task=task))) for task in details["test_images"]
    }
    return Result(name, details, resampled)
