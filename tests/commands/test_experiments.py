"""How experiments are found again, and what is refused (real git, no training)."""

import shutil
import subprocess
from pathlib import Path

import pytest
from paths import ROOT

from diffaug.commands import experiments
from diffaug.commands.experiments import Experiment, read_file, run_all
from diffaug.params import load_params
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


def finish(project: Path, one: Experiment, text: str = "{}") -> str:
    """What a DVC experiment leaves: a commit, and a reference below the commit it is based on."""
    head = git(project, "rev-parse", "HEAD")
    (project / "metrics").mkdir(exist_ok=True)
    (project / "metrics/details.json").write_text(text)
    git(project, "add", "-f", "metrics/details.json")
    tree = git(project, "write-tree")
    commit = git(project, "commit-tree", tree, "-p", head, "-m", "experiment")
    git(project, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{one.reference}", commit)
    git(project, "reset", "-q", "--hard")
    return commit


DUPLICATE = Experiment("study", "duplicate", ("merge.recipe=duplicate",))
CLASSIC = Experiment("study", "classic_long", ("merge.recipe=classic", "merge.target=null"))


def test_other_values_are_another_experiment() -> None:
    other = Experiment("study", "duplicate", ("merge.recipe=duplicate", "seeds=[0]"))
    assert other.reference != DUPLICATE.reference
    assert all(one.reference.startswith("study-duplicate-") for one in (other, DUPLICATE))
    assert CLASSIC.reference.startswith("study-classic-long-")


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("merge.ratio=9", r"study: one: .*merge\.ratio 9 needs"),
        ("merge.rato=1", r"study: one: params\.yaml: merge\.rato"),
        ("merge.recipe", "'merge.recipe' is not KEY=VALUE"),
        ("merge..recipe=x", "'merge..recipe=x' is not KEY=VALUE"),
        ("seeds.0=1", r"study: one: params\.yaml: seeds"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_runs(assignment: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Experiment("study", "one", (assignment,)).check(PARAMS)


def test_what_is_done_stays_done_and_the_rest_is_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = finish(project, DUPLICATE)
    started: list[list[str]] = []

    def run(command: list[str], environment: dict[str, str]) -> int:
        started.append(command[command.index("--name") :])
        finish(project, CLASSIC, '{"ratio": 5}')
        return 0

    monkeypatch.setattr(experiments, "run_to_its_end", run)
    commits = run_all([DUPLICATE, CLASSIC], PARAMS)
    assert commits[0] == first and read_file(commits[1], Path("metrics/details.json")) == '{"ratio": 5}'
    assert started == [
        ["--name", CLASSIC.reference, "-S", '++merge.recipe="classic"', "-S", "++merge.target=null"],
    ]


def change(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text)
    git(project, "add", name)
    git(project, "commit", "-qm", name)


def test_a_commit_that_leaves_the_pipeline_alone_undoes_nothing(project: Path) -> None:
    """A new entry to run, or a note, does not start all training again; a changed parameter does."""
    commit = finish(project, DUPLICATE)
    change(project, "README.md", "notes")
    change(project, "params.yaml", "study: {classic: []}\n")
    assert run_all([DUPLICATE], PARAMS) == [commit]


@pytest.mark.parametrize(
    ("name", "text"), [("params.yaml", "seeds: [1]\n"), ("dvc.lock", "{a: 1}\n"), ("dvc.yaml", "stages: {}\n")]
)
def test_another_pipeline_is_run_anew(project: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    finish(project, DUPLICATE)
    change(project, name, text)
    monkeypatch.setattr(experiments.sys, "executable", shutil.which("git"))
    with pytest.raises(UserError, match=f"{DUPLICATE.reference} failed"):
        run_all([DUPLICATE], PARAMS)


def test_weights_below_the_project_come_along(project: Path) -> None:
    (project / "w.safetensors").write_bytes(b"")
    for name, wanted in (("w.safetensors", ["w.safetensors"]), (str(project / "w.safetensors"), []), ("DEFAULT", [])):
        train_cls = PARAMS.train_cls.model_copy(update={"weights": name})
        assert experiments._given(PARAMS.model_copy(update={"train_cls": train_cls})) == wanted


def test_own_pictures_come_along(project: Path) -> None:
    own = PARAMS.model_copy(update={"train_gen": PARAMS.train_gen.model_copy(update={"images": "own/style"})})
    assert experiments._given(own) == []
    (project / "data/own/style").mkdir(parents=True)
    assert experiments._given(own) == ["data/own/style"]


def test_a_failed_experiment_ends_it_with_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "run_to_its_end", lambda command, environment: 1)
    with pytest.raises(UserError, match=f"study: {CLASSIC.reference} failed, see above; finished runs are kept"):
        run_all([CLASSIC], PARAMS)


def test_changes_that_no_commit_holds_are_refused(project: Path) -> None:
    (project / "notes.txt").write_text("mine")  # untracked files are allowed
    (project / "params.yaml").write_text("{a: 1}\n")
    with pytest.raises(UserError, match=r"study: params\.yaml has uncommitted changes"):
        run_all([CLASSIC], PARAMS)


def test_without_a_first_run_it_says_so(project: Path) -> None:
    git(project, "rm", "-q", "dvc.lock")
    git(project, "commit", "-qm", "nothing ran")
    with pytest.raises(UserError, match=r"study: dvc\.lock is not committed; run `dvc repro`"):
        run_all([CLASSIC], PARAMS)


def test_outside_of_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match=r"git status failed .*not a git repository"):
        run_all([CLASSIC], PARAMS)
