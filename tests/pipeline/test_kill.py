"""kill -9 in the middle of the long stages: the next `dvc repro` continues, and the bytes are the same."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from faults import at_write
from project import change, copy_of, digest, environment, remove, repro, run
from systems import posix

pytestmark = pytest.mark.slow

# Stages long enough to be killed in the middle; both runs use the same settings.
LONGER = {
    "train_gen": {"checkpoint_every": 5, "scratch": {"vae": {"steps": 90}, "unet": {"steps": 90}}},
    "generate": {"num_inference_steps": 8, "cls": {"per_class": 40}},
}


def kill_when(project: Path, stage: str, pattern: str, count: int) -> None:
    """Start `dvc repro STAGE` and kill it, with its children, once `count` files match below .work."""
    process = subprocess.Popen(
        ["dvc", "repro", stage],
        cwd=project,
        env=environment(project),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(list((project / ".work").glob(pattern))) < count:
        assert process.poll() is None, f"{stage} ended before it could be killed"
        assert time.monotonic() < deadline, f"{stage}: no {pattern} after two minutes"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def longer(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The longer pipeline up to generate, without interruption."""
    project = copy_of(finished, tmp_path_factory.mktemp("kill") / "whole")
    change(project, LONGER)
    repro(project, "generate")
    return project


@posix
def test_killed_stages_go_on_to_the_same_bytes(finished: Path, longer: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    remove(project, ".work")
    change(project, LONGER)
    kill_when(project, "train_gen", "train_gen/*/unet.safetensors", 1)
    unet = next((project / ".work").glob("train_gen/*/unet.safetensors"))
    before = unet.stat().st_mtime_ns
    output = run(project, "dvc", "repro", "train_gen")
    assert "0/90" not in output.split("train_gen: scratch.unet")[1].splitlines()[0]
    assert unet.stat().st_mtime_ns > before
    assert digest(project / "models/generator") == digest(longer / "models/generator")

    kill_when(project, "generate", "generate/*/*.png", 8)
    finished_images = {path: path.stat().st_mtime_ns for path in (project / ".work").glob("generate/*/*.png")}
    repro(project, "generate")
    assert all(path.stat().st_mtime_ns == written for path, written in finished_images.items())
    for task in ("cls", "det"):
        assert digest(project / f"data/generated/{task}") == digest(longer / f"data/generated/{task}")


STAGES = ["generate", "merge", "train_det", "report"]
OTHERS = ["download", "train_gen", "filter", "train_cls", "evaluate"]  # the long test of kills runs all stages again


@pytest.mark.parametrize("stage", [*STAGES, *(pytest.param(stage, marks=pytest.mark.long) for stage in OTHERS)])
def test_the_same_stage_twice_gives_the_same_bytes(finished: Path, tmp_path: Path, stage: str) -> None:
    project = copy_of(finished, tmp_path / "project")
    outs = {
        "download": ["data/real", "data/pool"],
        "train_gen": ["models/generator"],
        "generate": ["data/generated"],
        "filter": ["data/filtered"],
        "merge": ["data/merged"],
        "train_cls": ["models/cls/merged-0", "metrics/curves/cls/merged-0.csv"],
        "train_det": ["models/det/merged-0", "metrics/curves/det/merged-0.csv"],
        "evaluate": ["metrics/metrics.json", "metrics/details.json", "metrics/tables"],
        "report": ["metrics/plots", "metrics/cards", "metrics/report.html"],
    }[stage]
    before = [digest(project / out) for out in outs]
    remove(project, ".work", *outs)
    arguments = {"train_cls": ["merged", "0"], "train_det": ["merged", "0"], "merge": ["0"]}.get(stage, [])
    run(project, "python", f"stages/{stage}.py", *arguments)
    assert [digest(project / out) for out in outs] == before


@pytest.fixture(scope="module")
def drawn(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished project, its few images drawn slowly by two processes."""
    project = copy_of(finished, tmp_path_factory.mktemp("drawn") / "whole")
    change(project, {"generate": {"num_inference_steps": 12, "launch": {"processes": 2}}})
    run(project, "python", "stages/generate.py")
    return project


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_two_processes_that_draw_end_with_one_line(drawn: Path, tmp_path: Path, number: signal.Signals) -> None:
    project = copy_of(drawn, tmp_path / "project")
    remove(project, ".work/generate", "data/generated")
    process = subprocess.Popen(
        ["python", "stages/generate.py"],
        cwd=project,
        env=environment(project),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    while len(list((project / ".work").glob("generate/*/*.png"))) < 8:
        assert process.poll() is None
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 1  # the stage itself is the first of the two
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in said
    assert said.splitlines()[-1] == "generate: stopped; finished work is kept, run again to continue"
    assert not any(child.is_running() for child in children)
    kept = {path: path.stat().st_mtime_ns for path in (project / ".work").glob("generate/*/*.png")}
    run(project, "python", "stages/generate.py")
    assert len(kept) >= 8 and all(path.stat().st_mtime_ns == written for path, written in kept.items())
    assert not list((project / ".work/generate").rglob("*.tmp"))
    for task in ("cls", "det"):
        assert digest(project / f"data/generated/{task}") == digest(drawn / f"data/generated/{task}")


@posix
@pytest.mark.parametrize(("write", "how"), [(1, "SIGKILL"), (4, "SIGKILL"), (7, "SIGTERM"), (8, "SIGINT")])
def test_merge_ended_in_the_middle_of_a_file(finished: Path, tmp_path: Path, write: int, how: str) -> None:
    project = copy_of(finished, tmp_path / "project")
    own = environment(project)
    faulty = own | {
        "PYTHONPATH": os.pathsep.join([at_write(tmp_path / "fault", write, signal.Signals[how]), own["PYTHONPATH"]])
    }
    remove(project, "data/merged")
    done = subprocess.run(["python", "stages/merge.py", "0"], cwd=project, env=faulty, capture_output=True, text=True)
    assert done.returncode == (-9 if how == "SIGKILL" else 1) and "Traceback" not in done.stderr
    assert len(list(project.rglob("*.tmp"))) == (1 if how == "SIGKILL" else 0)
    run(project, "python", "stages/merge.py", "0")
    assert not list(project.rglob("*.tmp"))
    assert digest(project / "data/merged") == digest(finished / "data/merged")
