import subprocess
import sys
import time

from diffaug.runtime.memory import PeakMemory

HELD = "import time; held = b'x' * (200 * 2**20); print(1, flush=True); time.sleep(60)"


def test_memory_that_is_given_back_still_counts() -> None:
    with PeakMemory() as before:
        pass
    with PeakMemory() as memory:
        held = bytearray(b"x") * (200 * 2**20)
        time.sleep(1.2)
        del held
    assert memory.mebibytes > before.mebibytes + 150


def test_children_count_too() -> None:
    with PeakMemory() as before:
        pass
    with PeakMemory() as memory:
        child = subprocess.Popen([sys.executable, "-c", HELD], stdout=subprocess.PIPE)
        assert child.stdout and child.stdout.readline()
        time.sleep(1.2)
        child.kill()
        child.wait()
    assert memory.mebibytes > before.mebibytes + 150
