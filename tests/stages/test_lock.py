"""The committed results are those of the committed code: dvc.lock names the same code, params and pipeline."""

import re
import subprocess
import sys

from paths import ROOT


def test_nothing_would_run_again() -> None:
    """A change of a stage's code or params ends with a run of the default; see CONTRIBUTING.md."""
    command = [sys.executable, "-m", "dvc", "repro", "--dry", "--allow-missing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    again = re.findall(r"Running stage '([^']+)'", done.stdout)
    assert not again, f"run `dvc repro` and commit dvc.lock and metrics/*.json: {', '.join(again)} would run"
    assert "Data and pipelines are up to date" in done.stdout + done.stderr
