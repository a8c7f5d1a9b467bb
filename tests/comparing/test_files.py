from pathlib import Path

import pytest

from diffaug.comparing.files import find_sides
from diffaug.runtime.errors import UserError


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("a-0", "a-1", "b-0", "b-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "predictions.json").write_text(name)
    return tmp_path


def names(found: tuple[list[Path], list[Path]], root: Path) -> list[list[str]]:
    return [[path.relative_to(root).as_posix() for path in side] for side in found]


def refused(a: Path, b: Path) -> str:
    with pytest.raises(UserError) as error:
        find_sides(str(a), str(b))
    return str(error.value)


def test_a_side_is_a_file_a_folder_or_a_pattern(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, sides = find_sides(str(runs / "a-0/predictions.json"), str(runs / "b-0"))
    assert (task, names(sides, runs)) == ("det", [["a-0/predictions.json"], ["b-0/predictions.json"]])
    _, sides = find_sides(str(runs / "a-*/predictions.json"), str(runs / "b-?/*.json"))
    assert names(sides, runs) == [[f"{side}-{seed}/predictions.json" for seed in (0, 1)] for side in "ab"]
    monkeypatch.chdir(runs)
    assert find_sides("a-0", "b-0/p*")[1][1] == [Path("b-0/predictions.json")]


def test_other_files_of_a_folder_are_left_out(tmp_path: Path) -> None:
    for name in ("b.csv", "a.parquet", "readme.txt"):
        (tmp_path / name).write_text(name)
    task, sides = find_sides(str(tmp_path), str(tmp_path))
    assert (task, names(sides, tmp_path)) == ("cls", [["a.parquet", "b.csv"]] * 2)


def test_unequal_numbers_of_trainings(runs: Path) -> None:
    said = refused(runs / "a-*/*.json", runs / "b-0")
    assert said == "A has 2 files and B 1 file: give both sides the same number of trainings, one file each"


def test_the_same_predictions_twice_on_a_side(runs: Path) -> None:
    (runs / "a-1/predictions.json").write_text("a-0")
    said = refused(runs / "a-*/*.json", runs / "b-*/*.json")
    assert "a-1/predictions.json are the same predictions; give one file per training, each with its seed" in said


def test_nothing_there(tmp_path: Path) -> None:
    said = refused(tmp_path / "none.json", tmp_path)
    assert said.startswith("A: ") and "not found; give a file, a folder of files, or a pattern in quotes" in said
    assert "this folder has no file of a kind that is compared" in refused(tmp_path, tmp_path)
    assert "not found" in refused(tmp_path / "**a", tmp_path)


def test_another_kind_of_file(runs: Path) -> None:
    (runs / "c.txt").write_text("")
    (runs / "c.csv").write_text("")
    assert "c.txt: not a file that is compared; allowed are .json (COCO results)" in refused(
        runs / "c.txt", runs / "b-0"
    )
    assert "both sides must be of one kind" in refused(runs / "c.csv", runs / "b-0")
