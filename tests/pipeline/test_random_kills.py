"""kill -9 at random moments of every stage: the bytes of all outputs are those of a run without any.

By hand, with a table: `python -m pytest tests/pipeline/test_random_kills.py --kills 100 -s`.
"""

import itertools
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from project import copy_of, digest, environment, remove, run
from systems import posix

pytestmark = [pytest.mark.slow, pytest.mark.long, posix]

_SEED = 20261127
_TRIES = 5
_SOON = 0.5  # seconds in which a stage is surely still at work
_IMPORTS = 2.5  # seconds that a stage needs before its work, which its own clock does not count


def outputs(project: Path) -> dict[str, str]:
    """The digest of every output but the speeds, which differ from run to run."""
    lock = yaml.safe_load((project / "dvc.lock").read_text(encoding="utf-8"))
    paths = [out["path"] for stage in lock["stages"].values() for out in stage["outs"]]
    return {path: digest(project / path) for path in sorted(paths) if not path.startswith("metrics/speed/")}


class Repro:
    """A running `dvc repro`, which tells which stage it has come to."""

    def __init__(self, project: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            ["dvc", "repro", *arguments],
            cwd=project,
            env=environment(project) | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.stage, self.since = "", time.monotonic()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if found := re.search(r"Running stage '([^']+)'", line):
                self.stage, self.since = found[1], time.monotonic()

    def reach(self, stage: str) -> None:
        """Wait until it runs the stage, or has ended."""
        while self.stage != stage and self._process.poll() is None:
            time.sleep(0.005)

    def kill(self) -> tuple[str, float] | None:
        """Kill it with its children; the stage that ran, and for how many seconds it had; None if it had ended."""
        if self._process.poll() is not None:
            return None
        where = self.stage, time.monotonic() - self.since
        family = psutil.Process(self._process.pid).children(recursive=True)
        os.killpg(self._process.pid, signal.SIGKILL)
        for process in family:  # trainings are in the same group, but may be starting
            if process.is_running():
                process.kill()
        self._process.wait()
        self._reader.join(timeout=60)
        assert not self._reader.is_alive(), f"a process that {where[0]} started lives on: it holds the output open"
        return where


def stages(project: Path) -> dict[str, float]:
    """The stages in their order, with the seconds that each takes. The first training of an arm trains all of it."""
    order = re.findall(r"Running stage '([^']+)'", run(project, "dvc", "repro", "--dry", "--force"))
    times: dict[str, float] = {}
    for name in order:
        file = project / f"metrics/speed/{name.replace('@', '-')}.json"
        work = json.loads(file.read_text())["seconds"]
        arm = re.search(r"@(real|merged)", name)
        times[name] = _IMPORTS + (0 if arm and any(arm[0] in one for one in times) else work)
    return times


def killed(project: Path, count: int, generator: random.Random) -> Iterator[tuple[str, float]]:
    """Run the pipeline with `count` kills, which are spread over the stages; yields where each hit."""
    times = stages(project)
    remove(project, ".work", "dvc.lock", ".dvc/cache", ".dvc/tmp", "data", "models", "metrics")
    turns = sorted(itertools.islice(itertools.cycle(times), count), key=list(times).index)
    for stage in turns:
        hit = _hit(Repro(project), stage, generator.uniform(0, times[stage]))
        for _ in range(_TRIES):  # all was done before: the stage is made once more, and killed sooner
            hit = hit or _hit(Repro(project, "--single-item", "--force", stage), stage, generator.uniform(0, _SOON))
        assert hit is not None, f"{stage} ended {_TRIES} times before it could be killed"
        yield hit


def _hit(running: Repro, stage: str, delay: float) -> tuple[str, float] | None:
    running.reach(stage)
    time.sleep(delay)
    return running.kill()


def test_kills_at_random_moments_change_no_byte(finished: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    count, generator = request.config.getoption("--kills"), random.Random(_SEED)
    expected = outputs(finished)
    rows: list[tuple[str, float, str]] = []
    for number in range(0, count, 26):
        project = copy_of(finished, tmp_path / f"project-{number}")
        hits = list(killed(project, min(26, count - number), generator))
        output = run(project, "dvc", "repro")
        assert "Traceback" not in output
        now = outputs(project)
        differ = [path for path in expected if now[path] != expected[path]]
        rows += [(stage, second, "no" if differ else "yes") for stage, second in hits]
        assert differ == []
        left = [path for folder in ("data", "models", "metrics", ".work") for path in (project / folder).rglob("*.tmp")]
        assert left == []
    for stage, second, equal in rows:
        print(f"| {stage or 'before the first'} | {second:.1f} | {equal} |")
    assert len(rows) == count
    assert {stage.partition("@")[0] for stage, _, _ in rows} >= {name.partition("@")[0] for name in stages(finished)}
