import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from paths import ROOT
from systems import posix

from diffaug.runtime.processes import Child

STAGE = """
import sys
from diffaug.runtime.processes import Child
child = Child([sys.executable, "-c", sys.argv[1]], {}, lambda line: bool(print(line, end="", flush=True)) or True)
import time
time.sleep(120)
"""
CHILD = """
import os, time
from diffaug.runtime.processes import end_with_parent
end_with_parent()
print(os.getpid(), flush=True)
time.sleep(120)
"""


def python(code: str, **options: object) -> Child:
    return Child([sys.executable, "-c", code], {}, **options)  # type: ignore[arg-type]


def wait(child: Child) -> None:
    deadline = time.monotonic() + 30
    while child.running:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_process_ends_when_the_stage_that_waits_for_it_is_killed() -> None:
    stage = subprocess.Popen([sys.executable, "-c", STAGE, CHILD], stdout=subprocess.PIPE, text=True)
    assert stage.stdout
    child = psutil.Process(int(stage.stdout.readline()))
    stage.kill()
    stage.wait()
    _, alive = psutil.wait_procs([child], timeout=20)
    assert alive == []


def test_its_own_message_is_its_last_word() -> None:
    code = (
        "import sys; from diffaug.runtime.processes import report_error; print('ValueError: x', file=sys.stderr); "
        "sys.exit(report_error(Exception('lower the rate')))"
    )
    child = python(code)
    wait(child)
    assert child.failed and child.last_words() == "lower the rate"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('found 3')", "ValueError: found 3"),
        ("import sys; sys.exit('bye')", "bye"),
        ("import sys; sys.exit(3)", "nothing"),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)",
            "it was ended by signal 9, which is often the system's answer to a lack",
            marks=posix,
        ),
    ],
)
def test_otherwise_the_line_with_the_error_or_the_signal(code: str, words: str) -> None:
    child = python(code)
    wait(child)
    assert child.failed and child.last_words().startswith(words)


def test_lines_that_are_heard_are_no_last_words() -> None:
    heard = []
    child = python(
        "print('steps: 3'); print('done')", hear=lambda line: line.startswith("steps") and not heard.append(line)
    )
    wait(child)
    assert not child.failed and child.last_words() == "done" and heard == ["steps: 3\n"]


def test_stopping_ends_it_with_its_own_children() -> None:
    code = (
        "import subprocess, sys, time; inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(9)']); "
        "print(inner.pid, flush=True); time.sleep(9)"
    )
    pids: list[int] = []
    child = python(code, hear=lambda line: not pids.append(int(line)))
    while not pids:
        time.sleep(0.02)
    inner = psutil.Process(pids[0])
    child.stop()
    assert not child.running
    assert not inner.is_running() or inner.status() == psutil.STATUS_ZOMBIE
    child.stop()  # once more does nothing


@posix
def test_ctrl_c_waits_for_the_command_to_close_what_is_open(tmp_path: Path) -> None:
    """Two seconds after Ctrl-C, as `dvc repro` with a stage; subprocess.run would have killed it after 0.25."""
    slow = "import time\ntry: open('started', 'w'); time.sleep(60)\n"
    slow += "except KeyboardInterrupt: time.sleep(2); open('closed', 'w')"
    code = "import sys\nfrom diffaug.runtime.processes import run_to_its_end\n"
    code += f"run_to_its_end([sys.executable, '-c', {slow!r}], {{}})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "started").exists():
        assert started.poll() is None
        time.sleep(0.01)
    os.killpg(started.pid, signal.SIGINT)
    assert started.wait(timeout=30) != 0
    assert (tmp_path / "closed").exists()
