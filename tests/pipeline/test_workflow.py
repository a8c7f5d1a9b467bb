"""The workflow for forks: safe, and its steps are commands that there are."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from paths import ROOT
from project import change, environment
from systems import posix

TEXT = (ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_it_may_only_read_and_what_it_uses_is_pinned() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", name) for name in used)
    # What a stranger can name, such as a branch, reaches a shell only as a variable.
    assert not any("${{" in step.get("run", "") for step in STEPS)


def test_its_commands_are_those_of_run_py() -> None:
    said = (ROOT / "run.py").read_text(encoding="utf-8")
    commands = re.findall(r"python run\.py ([\w-]+)", TEXT)
    assert set(commands) == {"lint", "test-quick", "setup"}
    assert all(f'"{command}":' in said for command in commands)
    assert WORKFLOW["jobs"]["tests"]["strategy"]["matrix"]["system"] == [
        f"{system}-latest" for system in ("ubuntu", "macos", "windows")
    ]


@posix  # its shell
@pytest.mark.slow
def test_its_last_steps_run_in_a_committed_project(finished: Path, tmp_path: Path) -> None:
    """In a fresh clone without data, as on a server; `finished` is a project on which `dvc repro` has run."""
    subprocess.run(["git", "clone", "-q", str(finished), str(tmp_path / "clone")], check=True)
    summary = tmp_path / "summary.md"
    own = environment(tmp_path / "clone") | {"GITHUB_STEP_SUMMARY": str(summary), "BASE": "main"}
    for step in STEPS:
        if "name" in step:
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]], cwd=tmp_path / "clone", env=own, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
    assert "classifier accuracy" in summary.read_text(encoding="utf-8")

    is_old = next(step["run"] for step in STEPS if "dvc repro" in step.get("run", ""))
    clone = tmp_path / "clone"
    for break_it in (lambda: change(clone, {"merge": {"ratio": 0.5}}), (clone / "dvc.yaml").unlink):
        break_it()
        done = subprocess.run(["bash", "-e", "-c", is_old], cwd=clone, env=own, capture_output=True)
        assert done.returncode != 0
