import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paths import ROOT

from diffaug.commands import main as cli
from diffaug.runtime.errors import UserError
from diffaug.stage import run_stage


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "pretrained", tmp_path / "pretrained")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIFFAUG_WORK", raising=False)
    return tmp_path


def test_a_stage_leaves_its_speed(project: Path) -> None:
    run_stage("merge", lambda params, work: {"images": 10})
    report = json.loads((project / "metrics/speed/merge.json").read_text())
    assert report["images"] == 10
    assert report["peak_memory_mib"] > 10
    assert {"seconds", "images_per_second"} < set(report)


@pytest.mark.parametrize(
    "error",
    [
        UserError("cls: too few"),
        OSError(28, "No space left on device", "data/x"),
        UnicodeEncodeError("utf-8", "caf\udce9", 3, 4, "surrogates not allowed"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_speed(project: Path, error: Exception) -> None:
    def stage(params: object, work: Path) -> dict[str, float]:
        raise error

    with pytest.raises(SystemExit) as caught:
        run_stage("merge", stage)
    message = str(caught.value.code)
    assert message.startswith("merge: ") and "\n" not in message
    assert not (project / "metrics/speed/merge.json").exists()


def test_a_name_that_is_not_utf8_is_named(project: Path) -> None:
    def stage(params: object, work: Path) -> dict[str, float]:
        (work / "names.txt").write_text("caf\udce9.png", encoding="utf-8")
        return {}

    with pytest.raises(
        SystemExit, match=r"^merge: the name caf\\udce9\.png is not UTF-8, so nothing can store it; rename"
    ):
        run_stage("merge", stage)


def test_bad_params_stop_before_any_work(project: Path) -> None:
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("ratio: 4.0", "ratio: -1"))
    with pytest.raises(SystemExit, match=r"download: params\.yaml: merge\.ratio: found -1"):
        run_stage("download", lambda params, work: pytest.fail("the stage began"))


def test_a_second_run_waits_for_the_first(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = project / ".work/merge.lock"
    lock.parent.mkdir()
    code = (
        "import sys, time, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); "
        "print(1, flush=True); time.sleep(1)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE)
    assert other.stdout and other.stdout.readline()
    start = time.monotonic()
    run_stage("merge", lambda params, work: {})
    assert time.monotonic() - start > 0.5
    other.wait()
    assert "waiting for it to end" in capsys.readouterr().err


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["diffaug", *arguments])
    cli.main()


def test_check_says_what_is_wrong_in_one_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, "check")
    assert capsys.readouterr().out.endswith("params.yaml: fine\n")
    path = project / "params.yaml"
    path.write_text(path.read_text() + "\nextra: 1\n")
    with pytest.raises(SystemExit, match=r"diffaug: params\.yaml: extra: unknown key"):
        command(monkeypatch, "check")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("model: resnet18", "model: resnet19", r"train_cls\.model: found 'resnet19'; allowed are resnet101"),
        ("model: yolov8n.yaml", "model: yolo99n.yaml", r"train_det\.model: found 'yolo99n\.yaml'"),
        (
            "model: yolov8n.yaml",
            "model: yolo11n-seg.yaml",
            r"train_det\.model: yolo11n-seg\.yaml: .*found 'Segment'; allowed is in the last layer Detect",
        ),
    ],
)
def test_check_knows_the_networks(
    project: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, words: str
) -> None:
    path = project / "params.yaml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SystemExit, match=words):
        command(monkeypatch, "check")


def test_export_does_not_write_over_anything(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "out").mkdir()
    (project / "out/mine.txt").write_text("mine")
    with pytest.raises(SystemExit, match="out: is not empty"):
        command(monkeypatch, "export", "data/real/cls/train", "out")
    with pytest.raises(SystemExit, match=r"no part-\*\.parquet found"):
        command(monkeypatch, "export", "data/real/cls/train", "new")


def test_a_reader_that_has_seen_enough_is_no_error(project: Path) -> None:
    """Like `diffaug verdict | head -1`."""
    (project / "preset.yaml").write_text("seeds: [3]\n")
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "diffaug.commands.main", "use", "preset.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=project, env=environment, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")
    assert "seeds: [3]" in (project / "params.yaml").read_text()
