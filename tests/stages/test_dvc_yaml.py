"""Compares dvc.yaml with the code: a stage's code deps are the packages whose code can change its output."""

from pathlib import Path

import pytest
import yaml
from paths import ROOT

from diffaug.runtime import code
from diffaug.runtime.code import imported_files

# These change only messages for the user, never the output of a stage.
PLUMBING = {
    "diffaug/stage.py",
    *(f"diffaug/runtime/{name}.py" for name in code._PLUMBING),
}
# Single files, where the whole package would be too much: merge and evaluate use only the ledger, not the scores.
FILES = {
    "diffaug/runtime/checkpoint.py",
    "diffaug/runtime/device.py",
    "diffaug/runtime/tables.py",
    "diffaug/scoring/ledger.py",
}
PARAMS = "diffaug/params/"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_the_rooms_of_the_imports(name: str) -> None:
    script = name.removesuffix("_merged")  # the same script trains both arms
    imports = {file for file in imported_files(f"stages/{script}.py") - PLUMBING if not file.startswith(PARAMS)}
    deps = {dep for dep in STAGES[name]["deps"] if dep.startswith(("diffaug", "stages"))}
    own = {f"stages/{script}.py", f"diffaug/params/{script}.py"}
    assert own <= deps
    rooms = deps - own
    assert {room for room in rooms if not (ROOT / room).is_dir()} <= FILES
    assert {file for file in imports if not any(file == room or file.startswith(f"{room}/") for room in rooms)} == set()
    assert {room for room in rooms if not any(file == room or file.startswith(f"{room}/") for file in imports)} == set()


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_reads_its_own_section_of_the_params(name: str) -> None:
    source = (ROOT / f"stages/{name.removesuffix('_merged')}.py").read_text(encoding="utf-8")
    sections = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    declared = {param.split(".")[0] for param in STAGES[name]["params"]}
    source = source.replace("params.image_draws", "params.draws and params.seeds")
    used = {section for section in sections if f"params.{section}" in source}
    # A stage of a matrix gets its seed from its name, and filter the first seed from its dep.
    assert used - {"seeds"} == declared - {"seeds"}


def test_no_stage_keeps_outputs_of_old_parameters() -> None:
    assert "persist" not in (ROOT / "dvc.yaml").read_text(encoding="utf-8")


def test_every_room_says_what_it_is_for() -> None:
    for folder in {path.parent for path in (ROOT / "diffaug").rglob("*.py")}:
        assert (folder / "__init__.py").read_text(encoding="utf-8").startswith('"""'), folder
    assert {path.name for path in Path(ROOT / "diffaug").glob("*.py")} == {"__init__.py", "stage.py"}
