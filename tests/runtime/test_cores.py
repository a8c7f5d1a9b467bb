import ast
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from paths import ROOT

from diffaug.runtime import cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 8 cores, 64 GiB and no GPU."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cores, "gpus", lambda: ())
    monkeypatch.setattr(cores.joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(cores.psutil, "virtual_memory", lambda: SimpleNamespace(total=64 * 2**30))
    monkeypatch.setattr(cores, "_LIMITS", ())


def test_one_process_per_core_with_one_thread() -> None:
    assert (cores.side_by_side(None), cores.threads(), cores.environment(3)) == (8, 1, {"OMP_NUM_THREADS": "1"})


def test_processes_times_threads_never_exceed_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cores.side_by_side(None) * cores.threads() == 6
    assert cores.side_by_side(100) * cores.threads() == 6
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert cores.side_by_side(None) == 1


def test_fewer_if_the_memory_holds_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores.psutil, "virtual_memory", lambda: SimpleNamespace(total=16 * 2**30))
    assert cores.side_by_side(None) == 5  # 3 GiB each
    assert cores.side_by_side(None, needed=12 * 2**30) == 1
    assert cores.side_by_side(4, needed=12 * 2**30) == 4  # the user's own wish


@pytest.mark.parametrize(("text", "processes"), [("9663676416\n", 3), ("max\n", 8)])
def test_the_memory_of_a_container_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, processes: int
) -> None:
    (tmp_path / "memory.max").write_text(text)
    monkeypatch.setattr(cores, "_LIMITS", (tmp_path / "memory.max", tmp_path / "missing"))
    assert cores.side_by_side(None) == processes


def test_one_process_per_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "gpus", lambda: ("one", "two"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert cores.side_by_side(None) == 2
    assert [cores.environment(place)["CUDA_VISIBLE_DEVICES"] for place in (0, 1, 2)] == ["4", "6", "4"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert cores.environment(1) == {"CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "4"}


WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "PASSIVE 1000"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None"), ({"GOMP_SPINCOUNT": "7"}, "None 7")],
)
def test_waiting_threads_leave_the_cores_to_others_unless_the_user_says_otherwise(
    given: dict[str, str], expected: str
) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in WAITING} | given
    code = f"import diffaug, os; print(*map(os.environ.get, {WAITING}))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@pytest.mark.parametrize("stage", sorted(path.name for path in (ROOT / "stages").glob("*.py")))
def test_every_stage_sets_this_before_torch_is_loaded(stage: str) -> None:
    """OpenMP reads it when torch is loaded, so a stage itself imports only `diffaug` and the standard library."""
    tree = ast.parse((ROOT / "stages" / stage).read_text(encoding="utf-8"))
    names = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    others = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    assert others == {"diffaug"}
