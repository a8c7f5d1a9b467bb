"""Trainings side by side, with child processes that only write a file."""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
from default_params import params
from systems import posix

from diffaug.params import Params
from diffaug.runtime.errors import UserError
from diffaug.training import siblings
from diffaug.training.finished import Finished, Training

OWN = Training("cls", "real", 0)
STAGE = """
import os, signal, sys, time
from pathlib import Path
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import seal
from diffaug.training.finished import Training
from diffaug.training.history import write_history
from diffaug.training.siblings import tell_steps, train_as_child

def train(training, params, folder, model):
    with open("started", "a") as started:
        started.write(f"{training.stage} {os.environ['OMP_NUM_THREADS']}\\n")
    tell_steps(1)
    write_history(folder, [{"step": 1, "val_accuracy": 0.5}])
    time.sleep(0.5)
    bad = Path(training.name)
    if bad.exists() and bad.read_text() == "wait":
        time.sleep(60)
    if bad.exists() and bad.read_text() == "fail":
        raise UserError("the loss became nan; lower the rate")
    if bad.exists() and bad.read_text() == "kill":
        os.kill(os.getpid(), 9)
    (model / "model.json").write_text(training.name)
    seal(model)
    return 5

train_as_child(Training.of(TASK, sys.argv), train)
"""


@pytest.fixture
def small(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with such stages, on a machine with two cores; DVC would run every sibling."""
    (project / "stages").mkdir()
    for task in ("cls", "det"):
        (project / f"stages/train_{task}.py").write_text(STAGE.replace("TASK", repr(task)))
    monkeypatch.setattr(siblings.cores, "gpus", lambda: ())
    monkeypatch.setattr(siblings.cores.joblib, "cpu_count", lambda: 2)
    monkeypatch.setattr(
        siblings, "_due", lambda trainings, params: {one: Finished.of(one, params) for one in trainings}
    )
    return project


def obtain(training: Training, **changes: Any) -> dict[str, float]:
    return dict(siblings.obtain(training, few(**changes), Path("unused")))


def few(**changes: Any) -> Params:
    return params(**{"seeds": [0, 1]} | changes)


def started() -> list[str]:
    return sorted(Path("started").read_text().splitlines()) if Path("started").exists() else []


def test_the_siblings_of_the_arm_are_trained_too_and_taken_when_it_is_their_turn(small: Path) -> None:
    assert obtain(OWN)["steps"] == 5
    everyone = [f"train_{task}@real-{seed} 1" for task in ("cls", "det") for seed in (0, 1)]
    assert started() == everyone  # one thread each
    assert (small / "models/cls/real-0/model.json").read_text() == "train_cls-real-0"
    assert not (small / "models/det/real-1").exists()  # the output of another stage
    assert (small / "metrics/curves/cls/real-0.csv").read_text() == "step,val_accuracy\n1,0.5\n"
    for task, seed in (("cls", 1), ("det", 0), ("det", 1)):
        obtain(Training(task, "real", seed))
        assert (small / f"models/{task}/real-{seed}/model.json").read_text() == f"train_{task}-real-{seed}"
    assert started() == everyone
    obtain(Training("cls", "merged", 1))
    assert len(started()) == 8


def test_with_one_job_nothing_runs_beside_it(small: Path) -> None:
    obtain(OWN, jobs=1)
    assert started() == ["train_cls@real-0 1"]


@pytest.mark.parametrize("how", ["fail", pytest.param("kill", marks=posix)])
def test_a_failed_sibling_says_so_in_its_own_stage(small: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    sibling = Training("det", "real", 1)
    (small / sibling.name).write_text(how)
    obtain(OWN)
    assert "train_det@real-1 has ended early; its own stage will go on with it" in capsys.readouterr().out
    words = {"fail": "the loss became nan; lower the rate", "kill": "it was ended by signal 9"}[how]
    with pytest.raises(UserError, match=words):
        obtain(sibling)
    (small / sibling.name).unlink()
    assert obtain(sibling)["steps"] == 5


def test_a_failure_stops_the_siblings_and_what_is_finished_is_kept(small: Path) -> None:
    (small / OWN.name).write_text("fail")
    (small / "train_det-real-0").write_text("wait")
    with pytest.raises(UserError, match=r"lower the rate \(finished work is kept; run `dvc repro` to go on\)"):
        obtain(OWN)
    left = [one.as_dict(["cmdline"])["cmdline"] or () for one in psutil.Process().children(recursive=True)]
    assert not [words for words in left if "train_" in " ".join(words)]
    stopped = next((small / ".work/trained/train_det-real-0").iterdir())
    assert (stopped / "history.csv").exists() and not (stopped / "model").exists()


def test_the_children_have_the_parameters_of_the_key(small: Path) -> None:
    """Not those of params.yaml, which may be edited meanwhile."""
    (small / "params.yaml").write_text("seeds: broken")
    obtain(OWN, jobs=1, train_cls={"steps": 7})
    kept = next((small / ".work/trained/train_cls-real-0").iterdir())
    assert sorted(path.name for path in kept.iterdir()) == ["history.csv", "lock", "model", "speed.json"]
    assert json.loads((kept / "speed.json").read_text())["steps"] == 5


def test_a_task_without_data_has_an_empty_model(small: Path) -> None:

    changed = params().model_copy(update={"download": params().download.model_copy(update={"cls": None})})
    assert siblings.obtain(OWN, changed, Path("unused")) == {"steps": 0}
    assert [path.name for path in (small / "models/cls/real-0").iterdir()] == [".sha256"]
    assert started() == []
