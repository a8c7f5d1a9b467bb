"""docs/notebook.ipynb has no outputs, and runs in a copy of the repository."""

import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from paths import ROOT
from project import environment

NOTEBOOK = ROOT / "docs/notebook.ipynb"


def read() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_has_no_outputs() -> None:
    cells = [cell for cell in read().cells if cell.cell_type == "code"]
    assert len(cells) > 5
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def copy_repository(folder: Path) -> Path:
    """The files that Git knows, as a repository of their own."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy2(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


@pytest.mark.long
@pytest.mark.slow
def test_it_runs_from_its_first_cell_to_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells but that which installs."""
    project, notebook = copy_repository(tmp_path / "diffaug"), read()
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", ())]
    for name, value in environment(project).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DIFFAUG_WORK", raising=False)
    client = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(project / "docs")}})
    client.execute(env=dict(os.environ))
    said = {cell.id: "".join(one.get("text", "") for one in cell.get("outputs", ())) for cell in notebook.cells}
    assert "classifier accuracy" in said["verdict"] and "detector mAP50-95" in said["verdict"]
    for name in ("show", "show-lora"):
        (cell,) = (cell for cell in notebook.cells if cell.id == name)
        assert any("image/png" in one.get("data", {}) for one in cell.outputs)
    first, second = (project / folder / "00000.png" for folder in ("drawn", "drawn-lora"))
    assert first.read_bytes() != second.read_bytes()
