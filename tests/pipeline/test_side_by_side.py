"""Trainings side by side, with the real dvc.yaml."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from project import change, copy_of, digest, environment, remove, repro, run

from diffaug.params import load_params
from diffaug.training.finished import Training
from diffaug.training.siblings import _due

pytestmark = pytest.mark.slow

MODELS = [f"models/{task}/{arm}-0" for task in ("cls", "det") for arm in ("real", "merged")]
LONGER = {"train_cls": {"steps": 60, "eval_every": 10}, "train_det": {"steps": 40, "eval_every": 4}}


@pytest.mark.long
def test_one_after_another_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    together = {model: digest(project / model) for model in MODELS}
    remove(project, ".work", "models/cls", "models/det", "metrics/curves")
    for jobs in (1, 2):
        change(project, {"jobs": jobs})
        for task, arm in (("cls", "real"), ("det", "real"), ("cls", "merged"), ("det", "merged")):
            run(project, "python", f"stages/train_{task}.py", arm, "0")
        assert {model: digest(project / model) for model in MODELS} == together
        remove(project, ".work")


def test_a_finished_model_is_taken_and_not_trained_again(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    path = project / "diffaug/classifier/network.py"
    path.write_text(f"# A comment.\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    output = run(project, "dvc", "repro", "train_cls_merged@0", "train_cls@real-0")
    assert "Running stage 'train_cls@real-0'" in output and "step/s" not in output
    assert digest(project / MODELS[0]) == digest(finished / MODELS[0])


def test_only_what_dvc_would_run_is_trained_beside(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that DVC has, but that is not here, is none; one whose parameters are edited is one, and so is one that
    only dvc.lock knows, as in a fresh clone."""
    project = copy_of(finished, tmp_path / "project")
    remove(project, ".work", "models/det/real-0", "models/cls/real-0")
    monkeypatch.chdir(project)
    monkeypatch.setenv("PATH", environment(project)["PATH"])
    monkeypatch.delenv("DIFFAUG_WORK", raising=False)
    both = [Training("cls", "real", 0), Training("det", "real", 0)]
    assert _due(both, load_params()) == {}
    change(project, {"train_det": {"learning_rate": 0.003}})
    assert list(_due(both, load_params())) == [both[1]]
    remove(project, ".dvc/cache")
    assert list(_due(both, load_params())) == both
    run(project, "rm", "dvc.lock")
    assert list(_due(both, load_params())) == both


def child_of(process: psutil.Process, script: str) -> Iterator[psutil.Process]:
    """Its descendants that train with this script, which are children of a stage with the same name."""
    for one in process.children(recursive=True):
        try:
            if script in " ".join(one.cmdline()) and "DIFFAUG_TRAINING" in one.environ():
                yield one
        except psutil.Error:
            continue


def wait_for(what: str, found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not found():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_one_of_two_siblings_is_killed_and_everything_goes_on(finished: Path, tmp_path: Path) -> None:
    whole = copy_of(finished, tmp_path / "whole")
    change(whole, LONGER)
    repro(whole, "train_cls@real-0", "train_det@real-0")

    project = copy_of(finished, tmp_path / "project")
    change(project, LONGER)
    process = subprocess.Popen(
        ["dvc", "repro", "train_cls@real-0"],
        cwd=project,
        env=environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    folder = project / ".work/trained/train_det-real-0"
    before = {path.name for path in folder.iterdir()}
    wait_for("no checkpoint", lambda: any(one.name == "checkpoint.safetensors" for one in folder.rglob("*")))
    sibling = next(child_of(psutil.Process(process.pid), "stages/train_det.py"))
    curve = project / "metrics/curves/det/real-0.csv"
    wait_for("no live curve", curve.exists)
    sibling.kill()
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "train_det@real-0 has ended early; its own stage will go on with it" in output
    assert digest(project / "models/cls/real-0") == digest(whole / "models/cls/real-0")

    unfinished = next(path for path in folder.iterdir() if path.name not in before)
    assert (unfinished / "checkpoint.safetensors").exists() and not (unfinished / "model").exists()
    rows = len((unfinished / "history.csv").read_text().splitlines()) - 1
    assert rows >= 1
    output = run(project, "dvc", "repro", "train_det@real-0")
    assert "Running stage 'train_det@real-0'" in output
    assert digest(project / "models/det/real-0") == digest(whole / "models/det/real-0")
    assert curve.read_bytes() == (whole / "metrics/curves/det/real-0.csv").read_bytes()


def test_the_plots_show_the_curve_of_every_model(finished: Path, tmp_path: Path) -> None:
    run(finished, "dvc", "plots", "show", "-o", str(tmp_path / "page"))
    page = (tmp_path / "page/index.html").read_text(encoding="utf-8")
    for task in ("cls", "det"):
        for arm in ("real", "merged"):
            assert f"metrics/curves/{task}/{arm}-0.csv" in page


@pytest.mark.long
def test_a_killed_stage_leaves_no_training_behind(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    change(project, LONGER | {"train_cls": {"steps": 5000, "eval_every": 10}})
    process = subprocess.Popen(
        ["python", "stages/train_cls.py", "real", "0"],
        cwd=project,
        env=environment(project),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for("no child", lambda: any(child_of(psutil.Process(process.pid), "stages/train_cls.py")))
    child = next(child_of(psutil.Process(process.pid), "stages/train_cls.py"))
    process.kill()
    process.wait()
    assert psutil.wait_procs([child], timeout=20)[1] == []
