"""The study's plan, what it refuses, and how it uses finished experiments (real git, no training)."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

from diffaug.commands import study
from diffaug.commands.study import experiment, plan_study, run_study
from diffaug.params import load_params
from diffaug.report.study import Run
from diffaug.runtime.errors import UserError

PARAMS = load_params(ROOT / "params.yaml")


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    for name in ("dvc.lock", "params.yaml"):
        (tmp_path / name).write_text("{}\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "run")
    return tmp_path


def finish(project: Path, run: Run, metrics: dict[str, Any]) -> None:
    """What a DVC experiment leaves: a commit with its metrics, and a reference below the commit it is based on."""
    head = git(project, "rev-parse", "HEAD")
    (project / "metrics").mkdir(exist_ok=True)
    (project / "metrics/details.json").write_text(json.dumps(metrics))
    git(project, "add", "-f", "metrics/details.json")
    tree = git(project, "write-tree")
    commit = git(project, "commit-tree", tree, "-p", head, "-m", "experiment")
    git(project, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{experiment(run)}", commit)
    git(project, "reset", "-q", "--hard")


def test_the_default_asks_for_every_recipe() -> None:
    runs = plan_study(load_params(ROOT / "params.yaml"))
    assert {run.recipe for run in runs} == set(load_params(ROOT / "params.yaml").study)
    assert len({experiment(run) for run in runs}) == len(runs) >= 8
    assert experiment(Run("real_more", 0.5)) == "study-real-more-0p5"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "study: no recipe is given"),
        ({"unfiltered": [4.0, 9.0]}, r"study: unfiltered at 9: .*merge\.ratio 9 needs"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_runs(wanted: dict[str, list[float]], words: str) -> None:
    params = load_params(ROOT / "params.yaml")
    with pytest.raises(UserError, match=words):
        plan_study(params.model_copy(update={"study": wanted}))


def test_what_is_done_stays_done_and_the_rest_is_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, left = Run("duplicate", 4.0), Run("classic", 4.0)
    finish(project, done, {"ratio": 4.0})
    started: list[list[str]] = []

    def run(command: list[str], environment: dict[str, str]) -> int:
        started.append(command[command.index("--name") :])
        finish(project, left, {"ratio": 5.0})
        return 0

    monkeypatch.setattr(study, "run_to_its_end", run)
    assert run_study([done, left], PARAMS) == [(done, {"ratio": 4.0}), (left, {"ratio": 5.0})]
    assert started == [
        [
            "--name",
            experiment(left),
            "-S",
            f"merge.recipe={left.recipe}",
            "-S",
            f"merge.ratio={left.ratio:g}",
            "-S",
            "merge.target=null",
        ]
    ]


def change(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text)
    git(project, "add", name)
    git(project, "commit", "-qm", name)


def test_a_commit_that_leaves_the_pipeline_alone_undoes_nothing(project: Path) -> None:
    """A new recipe to run, or a note, does not start all training again; a changed parameter does."""
    done = Run("duplicate", 4.0)
    finish(project, done, {"ratio": 4.0})
    change(project, "README.md", "notes")
    change(project, "params.yaml", "study: {classic: [4.0]}\n")
    assert run_study([done], PARAMS) == [(done, {"ratio": 4.0})]


@pytest.mark.parametrize(
    ("name", "text"), [("params.yaml", "seeds: [1]\n"), ("dvc.lock", "{a: 1}\n"), ("dvc.yaml", "stages: {}\n")]
)
def test_another_pipeline_is_run_anew(project: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    finish(project, Run("duplicate", 4.0), {"ratio": 4.0})
    change(project, name, text)
    monkeypatch.setattr(study.sys, "executable", "/bin/false")
    with pytest.raises(UserError, match="study-duplicate-4 failed"):
        run_study([Run("duplicate", 4.0)], PARAMS)


def test_weights_below_the_project_come_along(project: Path) -> None:
    (project / "w.safetensors").write_bytes(b"")
    for name, wanted in (("w.safetensors", ["w.safetensors"]), (str(project / "w.safetensors"), []), ("DEFAULT", [])):
        train_cls = PARAMS.train_cls.model_copy(update={"weights": name})
        assert study._weights(PARAMS.model_copy(update={"train_cls": train_cls})) == wanted


def test_a_failed_experiment_ends_it_with_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "run_to_its_end", lambda command, environment: 1)
    with pytest.raises(UserError, match="study: study-classic-4 failed, see above; finished runs are kept"):
        run_study([Run("classic", 4.0)], PARAMS)


def test_changes_that_no_commit_holds_are_refused(project: Path) -> None:
    (project / "notes.txt").write_text("mine")  # untracked files are allowed
    (project / "params.yaml").write_text("{a: 1}\n")
    with pytest.raises(UserError, match=r"study: params\.yaml has uncommitted changes"):
        run_study([Run("classic", 4.0)], PARAMS)


def test_without_a_first_run_it_says_so(project: Path) -> None:
    git(project, "rm", "-q", "dvc.lock")
    git(project, "commit", "-qm", "nothing ran")
    with pytest.raises(UserError, match=r"study: dvc\.lock is not committed; run `dvc repro`"):
        run_study([Run("classic", 4.0)], PARAMS)


def test_outside_of_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match=r"study: git status failed .*not a git repository"):
        run_study([Run("classic", 4.0)], PARAMS)
