"""dvc.yaml against the code: a stage's deps are the modules whose code can change what it makes."""

from pathlib import Path

import pytest
import yaml
from import_graph import ROOT, imported_files

# These change what a user reads when something goes wrong, never what a stage makes; params has no default values.
PLUMBING = {"diffaug/errors.py", "diffaug/files.py", "diffaug/stage.py"}
PARAMS = "diffaug/params/"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_the_imports(name: str) -> None:
    script = Path(f"stages/{name}.py")
    imports = {file for file in imported_files(ROOT / script) - PLUMBING if not file.startswith(PARAMS)}
    if name != "generate":  # elsewhere the scheduler table is reached through params alone
        imports -= {"diffaug/schedulers.py"}
    deps = [dep for dep in STAGES[name]["deps"] if dep.startswith(("diffaug", "stages"))]
    assert script.as_posix() in deps
    code = [dep for dep in deps if dep.startswith("diffaug")]
    assert {file for file in imports if not any(file == dep or file.startswith(f"{dep}/") for dep in code)} == set()
    assert {dep for dep in code if not any(file == dep or file.startswith(f"{dep}/") for file in imports)} == set()


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_reads_its_own_section_of_the_params(name: str) -> None:
    source = (ROOT / f"stages/{name}.py").read_text(encoding="utf-8")
    sections = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    declared = {param.split(".")[0] for param in STAGES[name]["params"]}
    used = {section for section in sections if f"params.{section}" in source}
    # A stage of a matrix gets its seed by name, and filter the first one by its dep.
    assert used - {"seeds"} == declared - {"seeds"}


def test_no_stage_keeps_outputs_of_old_parameters() -> None:
    assert "persist" not in (ROOT / "dvc.yaml").read_text(encoding="utf-8")
