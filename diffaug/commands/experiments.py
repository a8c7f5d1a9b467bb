"""Runs of the pipeline with other values in params.yaml, as DVC experiments: started, found again, and read."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from diffaug.commands.use import assigned
from diffaug.params import Params
from diffaug.params.messages import one_line
from diffaug.runtime.errors import UserError
from diffaug.runtime.processes import run_to_its_end
from diffaug.runtime.yaml_files import parse_yaml

_PIPELINE = ("dvc.yaml", "dvc.lock", "diffaug", "stages", "prompts", "pretrained")  # and params.yaml


@dataclass(frozen=True)
class Experiment:
    """A run with these assignments, each KEY=VALUE of params.yaml; command: study or tune."""

    command: str
    name: str
    assignments: tuple[str, ...]
    targets: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """Its name among DVC's experiments, which are listed by the commit on which they are based. It has a hash of
        the values, so that an entry with the same name and other values is another experiment."""
        key = json.dumps([self.assignments, self.targets])
        name = "".join(letter if letter.isalnum() else "-" for letter in self.name)
        return f"{self.command}-{name}-{hashlib.sha256(key.encode()).hexdigest()[:6]}"

    def check(self, params: Params) -> None:
        """Raises UserError if the params with these values cannot be run."""
        changed = params.model_dump(mode="json", exclude_unset=True)
        for assignment in self.assignments:
            key, value = assigned(assignment)
            *sections, last = key.split(".")
            place = changed
            for section in sections:
                below = place.get(section)
                place[section] = place = below if isinstance(below, dict) else {}
            place[last] = value
        try:
            Params.model_validate(changed)
        except ValidationError as error:
            said = one_line("params.yaml", error, Params)
            advice = "; change this entry of study, or remove it" if self.command == "study" else ""
            raise UserError(f"{self.command}: {self.name}: {said}{advice}") from None

    def find(self) -> str | None:
        """The commit of the finished experiment, if it is based on the checked-out commit, or on another with the same
        pipeline: commits that change other files, or add runs, do not invalidate finished runs."""
        for line in _git("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps").splitlines():
            # refs/exps/FIRST 2 DIGITS/THE OTHER 38/NAME, of the commit on which it is based
            reference, _, commit = line.partition(" ")
            parts = reference.split("/")
            if len(parts) == 5 and parts[4] == self.reference and _same_pipeline(parts[2] + parts[3]):
                return commit
        return None

    def run(self, params: Params) -> str:
        """The commit of the experiment. It is run in a folder of its own, which uses the cache and does not change the
        workspace. Raises UserError if it fails."""
        command = [sys.executable, "-m", "dvc", "exp", "run", *self.targets, "--temp", "--name", self.reference]
        for assignment in self.assignments:
            key, value = assigned(assignment)
            command += ["-S", f"++{key}={json.dumps(value)}"]
        command += [argument for path in _given(params) for argument in ("--copy-paths", path)]
        # The stages of dvc.yaml call `python`, which must be the interpreter that runs this.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        if run_to_its_end(command, {"PATH": path}):
            raise UserError(
                f"{self.command}: {self.reference} failed, see above; finished runs are kept: correct the error and "
                f"run `diffaug {self.command}` again"
            )
        commit = self.find()
        if commit is None:
            raise UserError(f"{self.command}: {self.reference} left no experiment; run `dvc exp show` to see why")
        return commit


def run_all(experiments: Sequence[Experiment], params: Params) -> list[str]:
    """The commits of all experiments; finished ones are not repeated. Raises UserError if the workspace has changes
    (they would be part of every run), if the pipeline has not run, or if an experiment fails."""
    commits = []
    for number, one in enumerate(experiments, 1):
        _refuse_changes(one.command)
        found = one.find()
        values = f" ({', '.join(one.assignments)})" if one.assignments else ""
        before = ": done before" if found else ""
        print(f"{one.command}: {number} of {len(experiments)}: {one.name}{values}{before}", flush=True)
        commits.append(found or one.run(params))
    return commits


def read_file(commit: str, path: Path) -> str:
    """A file of Git in a commit."""
    return _git("show", f"{commit}:{path.as_posix()}")


def read_output(commit: str, path: Path) -> str:
    """A file that DVC keeps, as of an experiment. Raises UserError if it is not in DVC's cache."""
    import dvc.api
    from dvc.exceptions import DvcException

    try:
        text: str = dvc.api.read(path.as_posix(), rev=commit, encoding="utf-8")
    except (DvcException, OSError) as error:
        raise UserError(
            f"{path} of experiment {commit[:7]} is not in DVC's cache ({' '.join(str(error).split())}); remove the "
            "experiment with `dvc exp remove`, and run it again"
        ) from None
    return text


def _given(params: Params) -> list[str]:
    """Initial weights and own pictures that the params name by a path below the project; an experiment's own folder
    would lack them."""
    named = [params.train_cls.weights, params.train_det.weights]
    files = [one for one in named if isinstance(one, str) and not Path(one).is_absolute() and Path(one).is_file()]
    own = params.train_gen.own
    return [*files, own.as_posix()] if own is not None and own.is_dir() else files


def _refuse_changes(command: str) -> None:
    changed = [line for line in _git("status", "--porcelain").splitlines() if not line.startswith("??")]
    if changed:
        raise UserError(
            f"{command}: {changed[0].split()[-1]} has uncommitted changes, which would be part of every run: run "
            "`dvc repro`, then `git commit -a`"
        )
    if not _git("ls-files", "dvc.lock"):
        raise UserError(
            f"{command}: dvc.lock is not committed; run `dvc repro`, then commit it, metrics/metrics.json and "
            "metrics/details.json"
        )


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
        raise UserError(f"git {arguments[0]} failed ({reason}); run it in the project's git repository") from None
