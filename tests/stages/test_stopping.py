"""Ctrl-C and SIGTERM are one line, from the first import on; names are read as UTF-8 or not at all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paths import ROOT
from systems import linux, posix

STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py"))
SCRIPTS = {name: [sys.executable, f"stages/{name}.py"] for name in STAGES}
for name in ("train_cls", "train_det"):
    SCRIPTS[name] += ["real", "0"]


def catches_sigterm(process: subprocess.Popen) -> bool:
    """Whether the process has begun: Python itself catches only SIGINT."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) & (1 << (signal.SIGTERM - 1)))


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("stage", STAGES)
def test_stopped_while_it_imports_a_stage_says_one_line(tmp_path: Path, stage: str, number: signal.Signals) -> None:
    environment = {**os.environ, "DIFFAUG_WORK": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(SCRIPTS[stage], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    while not catches_sigterm(process):
        time.sleep(0.001)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, f"{stage}: stopped; finished work is kept, run again to continue\n")


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_stopped_while_it_works_what_is_open_is_closed(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "stage.py"
    script.write_text(
        "import time\nfrom pathlib import Path\nfrom diffaug.runtime.files import atomic_path\n"
        "from diffaug.runtime.start import begin\nfrom diffaug.stage import run_stage\nbegin('merge')\n"
        "def stage(params, work):\n"
        "    with atomic_path(work / 'open') as temporary:\n        temporary.touch()\n        time.sleep(60)\n"
        "run_stage('merge', stage)\n"
    )
    environment = {**os.environ, "DIFFAUG_WORK": str(tmp_path / "work"), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, script], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("work/merge/.open.*.tmp")):
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "merge: stopped; finished work is kept, run again to continue\n")
    assert list((tmp_path / "work/merge").iterdir()) == []


@posix  # elsewhere names are always Unicode
@pytest.mark.parametrize("command", [["stages/merge.py"], ["-m", "diffaug.commands.main", "check"]])
def test_a_locale_in_which_names_would_be_read_wrongly_is_refused(command: list[str]) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env={**os.environ, **plain}, capture_output=True, text=True, check=False
    )
    name = "merge" if "stages" in command[0] else "diffaug"
    assert done.returncode == 1
    assert done.stderr == (
        f"{name}: this terminal's encoding is ascii, in which names of files and classes would be read wrongly; set "
        "the environment variable PYTHONUTF8=1 and run again\n"
    )
