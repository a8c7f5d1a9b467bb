"""The package structure: a room (package) uses only rooms below it, and CONTRIBUTING.md shows all rooms."""

import re

import pytest
from paths import ROOT

from diffaug.runtime.code import imported_files

# From the bottom up. params imports only runtime; runtime imports no other room.
FLOORS = (
    *("runtime", "params", "dataset", "pictures", "hub", "sources", "segmenting", "diffusion", "generator_training"),
    *("generation/plan", "generation/drawing", "generation/composing", "training", "classifier", "export", "detector"),
    *("scoring", "merging", "evaluation", "report", "comparing", "enlarging", "commands"),
)
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "diffaug").rglob("*.py"))


def room(file: str) -> str:
    """The room of a file of the package; generation has three rooms."""
    parts = file.split("/")
    return "/".join(parts[1:3] if parts[1] == "generation" else parts[1:2])


def own_imports(file: str) -> set[str]:
    """The rooms that the file itself imports."""
    from diffaug.runtime import code

    return {room(one) for one in code._imports(file)}


@pytest.mark.parametrize("file", [file for file in FILES if not file.endswith("__init__.py")])
def test_a_room_uses_rooms_below_it_only(file: str) -> None:
    if file == "diffaug/stage.py":
        assert own_imports(file) <= {"runtime", "params"}
        return
    above = {other for other in own_imports(file) if FLOORS.index(other) > FLOORS.index(room(file))}
    assert above == set()


def test_every_room_has_its_floor() -> None:
    rooms = {room(file) for file in FILES if file.count("/") > 1} - {"generation/__init__.py"}
    assert rooms == set(FLOORS)
    assert {file for file in FILES if file.count("/") == 1} == {"diffaug/__init__.py", "diffaug/stage.py"}


def test_contributing_shows_the_rooms() -> None:
    picture = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```")[1]
    shown = set(re.findall(r"(\w+)/ ", picture)) | set(re.findall(r"(\w+)/$", picture, re.MULTILINE))
    assert shown - {"stages", "diffaug", "generation"} == {floor.rpartition("/")[2] for floor in FLOORS}
    stages = {path.stem for path in (ROOT / "stages").glob("*.py")}
    assert set(picture.partition("diffaug/")[0].splitlines()[2].split()) == stages


def test_files_stay_short() -> None:
    lines = {file: len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {file: count for file, count in lines.items() if count > 300} == {}
    stages = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "stages").glob("*.py")}
    assert {file: count for file, count in stages.items() if count > 100} == {}


def test_no_stage_imports_another_stage_or_a_command() -> None:
    for path in (ROOT / "stages").glob("*.py"):
        files = imported_files(f"stages/{path.name}")
        assert not [file for file in files if file.startswith(("stages/", "diffaug/commands/"))], path.name
