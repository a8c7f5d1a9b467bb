import subprocess
import sys

import pytest

CHILD = """
import sys, time
from diffaug.generation.drawing.engines import _end_with
_end_with(int(sys.argv[1]))
print("drawing", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_process_ends_when_the_stage_that_waits_for_it_is_killed() -> None:
    stage = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(stage.pid)], stdout=subprocess.PIPE, text=True)
    assert child.stdout and child.stdout.readline() == "drawing\n"
    stage.kill()
    stage.wait()
    assert child.wait(timeout=20) == 1
