import subprocess
import sys

import psutil
import pytest

STAGE = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
time.sleep(120)
"""
CHILD = """
import os, sys, time
from diffaug.generation.drawing.engines import _end_with
_end_with(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(120)
"""


@pytest.mark.slow
def test_a_process_ends_when_the_stage_that_waits_for_it_is_killed() -> None:
    stage = subprocess.Popen([sys.executable, "-c", STAGE, CHILD], stdout=subprocess.PIPE, text=True)
    assert stage.stdout
    child = psutil.Process(int(stage.stdout.readline()))
    stage.kill()
    stage.wait()
    _, alive = psutil.wait_procs([child], timeout=20)
    assert alive == []
