import ast
from pathlib import Path

import pytest

from diffaug.runtime import code

MODULE = '''"""A room."""

from diffaug.room.other import double


def work(value: int) -> int:
    """What it does."""
    if value < 0:
        raise ValueError(f"too low: {value}")
    print("working")
    return sum(double(one) for one in tqdm(range(value), desc="work"))
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two modules; the file caches of `code` are cleared before and after."""
    monkeypatch.setattr(code, "ROOT", tmp_path)
    forget()
    (tmp_path / "diffaug/room").mkdir(parents=True)
    (tmp_path / "diffaug/room/work.py").write_text(MODULE)
    (tmp_path / "diffaug/room/other.py").write_text("def double(one):\n    return 2 * one\n")
    (tmp_path / "diffaug/room/unused.py").write_text("import diffaug.room.other\n")
    yield tmp_path
    forget()


def forget() -> None:
    code._imports.cache_clear()
    code._meaning.cache_clear()


def changed(project: Path, old: str, new: str, file: str = "work") -> bool:
    """Whether the edit changes the fingerprint of the module work."""
    before = code.fingerprint("diffaug.room.work")
    path = project / f"diffaug/room/{file}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    forget()
    after = code.fingerprint("diffaug.room.work")
    path.write_text(text)
    forget()
    return after != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What it does.", "What it really does."),
        ("    if value < 0:", "    # a comment\n    if value < 0:"),
        ('f"too low: {value}"', '"below 0"'),
        ('print("working")', 'print("still working", flush=True)'),
        ('desc="work"', 'desc="other", mininterval=1.0'),
        ("    return sum(", "\n    return sum("),
    ],
)
def test_words_change_nothing(project: Path, old: str, new: str) -> None:
    assert not changed(project, old, new)


@pytest.mark.parametrize(
    ("old", "new", "file"),
    [
        ("value < 0", "value < 1", "work"),
        ("raise ValueError", "raise KeyError", "work"),
        ("range(value)", "range(value + 1)", "work"),
        ("2 * one", "3 * one", "other"),
    ],
)
def test_what_is_done_changes_it(project: Path, old: str, new: str, file: str) -> None:
    assert changed(project, old, new, file)


def test_a_module_that_is_not_imported_has_no_part(project: Path) -> None:
    assert not changed(project, "import", "import json, ", "unused")


def test_a_module_imported_by_name_counts_as_its_whole_folder(project: Path) -> None:
    (project / "script.py").write_text('module = import_module(f"diffaug.room.{name}")\n')
    rooms = {f"diffaug/room/{name}.py" for name in ("work", "other", "unused")}
    assert code.imported_files("script.py") == rooms


def test_what_is_left_out_is_there() -> None:
    assert {file for file in code._NO_EFFECT if not (code.ROOT / file).exists()} == set()


def test_params_hold_checks_and_no_data_that_draws() -> None:
    """Only classes, types and names of params are imported by what the caches depend on: values are in their keys."""
    drawn = code.imported_files("diffaug/generation/drawing/drawing.py")
    for file in (file for file in drawn if not file.startswith("diffaug/params/")):
        for node in ast.walk(ast.parse((code.ROOT / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("diffaug.params"):
                taken = {alias.name for alias in node.names}
                assert all(name[0].isupper() for name in taken) and not taken & {"SPACINGS", "NAMES", "DRAWN"}


def test_the_caches_depend_on_what_draws_and_trains_and_on_nothing_else() -> None:
    drawn = code.imported_files("diffaug/generation/drawing/drawing.py")
    assert {"diffaug/generation/drawing/palette.py", "diffaug/dataset/codec.py", "diffaug/pictures/masks.py"} <= drawn
    assert not [file for file in drawn if file.startswith(("diffaug/report", "diffaug/commands", "diffaug/scoring"))]
    assert "diffaug/generation/plan/scenes.py" not in drawn  # every job is part of the name of its image
    score = code.imported_files("diffaug/scoring/hash.py")
    assert "diffaug/detector/network.py" not in score and "diffaug/scoring/neighbours.py" in score
