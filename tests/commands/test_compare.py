"""The command as a user runs it: in a folder without a project."""

import csv
import json
import sys
from pathlib import Path

import coco_sides
import numpy as np
import pytest
from PIL import Image

from diffaug.commands.main import main
from diffaug.runtime.tables import write_table


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two trainings of each of two detectors and two classifiers."""
    monkeypatch.chdir(tmp_path)
    truth = coco_sides.truth(images=120)
    coco_sides.write_json(tmp_path / "truth.json", truth)
    generator = np.random.default_rng(0)
    for side, skill, right in (("a", 0.5, 0.6), ("b", 0.95, 0.9)):
        for name in (side, f"{side}-tables"):
            (tmp_path / name).mkdir()
        for seed in (0, 1):
            coco_sides.write_json(tmp_path / side / f"{seed}.json", coco_sides.results(truth, seed, skill))
            rows = []
            for number in range(200):
                sure = 0.7 if generator.random() < right else 0.2
                rows.append(
                    [f"{number}.png", "cat" if number % 2 else "dog", *([sure, 1 - sure][:: 2 * (number % 2) - 1])]
                )
            write_table(tmp_path / f"{side}-tables" / f"{seed}.csv", ["file", "label", "cat", "dog"], rows)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["diffaug", "compare", *arguments])
    main()


def refused(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, *arguments)
    return str(ended.value.code)


def test_detectors(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(folder.iterdir())
    run(monkeypatch, "a", "b", "--truth", "truth.json", "--out", "out", "--resamples", "200")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        *(
            "test",
            "metric",
            "(x",
            "100)",
            "A",
            "B",
            "difference",
            "95",
            "%",
            "interval",
            "visible",
            "from",
            "p",
            "verdict",
        )
    ]
    assert lines[2].startswith("mAP50-95 ") and lines[2].endswith("B better")
    assert all(line.endswith("-  -") for line in lines[3:10]) and lines[10] == ""
    assert any(line.startswith("A: a/0.json, a/1.json.") for line in lines)
    assert "Note: confusion matrices: detections of a confidence above 0.25, matched at IoU 0.5." in lines
    assert set(folder.iterdir()) - before == {folder / "out"}

    content = json.loads((folder / "out/comparison.json").read_text())
    assert (content["primary"], content["verdict"], content["resamples"]) == ("mAP50-95", "B better", 200)
    assert content["lines"][0]["low"] > 0 and content["lines"][-1]["of_class"] == "owl"
    table = list(csv.DictReader((folder / "out/table.csv").open()))
    assert [row["title"] for row in table] == [one["title"] for one in content["lines"]]
    assert float(table[0]["difference"]) == pytest.approx(content["lines"][0]["difference"], rel=1e-5)
    matrix = list(csv.reader((folder / "out/confusion_b.csv").open()))
    names = ["cat", "dog", "owl", "unicorn", "background"]
    assert matrix[0] == ["actual", *(f"predicted {name}" for name in names)]
    assert [row[0] for row in matrix[1:]] == names
    truth = coco_sides.truth(images=120)["annotations"]
    cats = sum(row["category_id"] == 1 and not row["iscrowd"] for row in truth)
    assert sum(map(int, matrix[1][1:])) == 2 * cats  # of both trainings
    for name in ("intervals", "confusion_a", "confusion_b"):
        Image.open(folder / f"out/{name}.png").verify()


def test_classifiers(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "a-tables", "b-tables", "--out", "out")
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("accuracy ") and lines[2].endswith("B better")
    assert [line.split("  ")[0] for line in lines[3:5]] == ["macro F1", "ECE (lower is better)"]
    assert "The difference is B minus A, on 200 images of 2 classes." in lines
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["comparison.json", "intervals.png", "table.csv"]


def test_the_same_files_on_both_sides_make_no_difference(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "a", "a", "--truth", "truth.json", "--resamples", "100")
    row = capsys.readouterr().out.splitlines()[2]
    assert row.split()[3:] == ["+0.0", "+0.0", "to", "+0.0", "-", "1.000", "no", "difference"]


def test_other_trainings_of_the_same_make_no_difference(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "again").mkdir()
    for seed in (2, 3):
        coco_sides.write_json(
            folder / f"again/{seed}.json", coco_sides.results(coco_sides.truth(images=120), seed, skill=0.5)
        )
    run(monkeypatch, "a", "again", "--truth", "truth.json", "--resamples", "200")
    assert capsys.readouterr().out.splitlines()[2].endswith("no difference")


def test_one_training_a_side_is_said_to_be_too_few(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "a-tables/0.csv", "b-tables/0.csv")
    said = capsys.readouterr().out
    assert said.splitlines()[2].endswith("needs 2 seeds")
    assert "Note: one training a side: the intervals are for other test images only, not for another training" in said


def test_of_many_classes_those_are_shown_that_differ_most(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"c{number}" for number in range(30)]
    for side in "ab":
        rows = [
            [number, names[number % 30], *np.roll([0.71, *[0.01] * 29], number + (side == "b" and number % 30 < 3))]
            for number in range(300)
        ]
        write_table(folder / f"{side}.csv", ["id", "label", *names], rows)
    run(monkeypatch, "a.csv", "b.csv", "--out", "out")
    said = capsys.readouterr().out
    assert "10 classes are left out, shown are the best and the worst for B; --out writes all of them." in said
    assert [line.split()[2] for line in said.splitlines() if line.startswith("accuracy of")][-3:] == ["c0", "c1", "c2"]
    assert len(list(csv.DictReader((folder / "out/table.csv").open()))) == 33


def test_faults_are_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(monkeypatch, "a", "b").startswith("diffaug: --truth is missing: give the COCO ground truth")
    assert "--names truth.json: only for tables" in refused(
        monkeypatch, "a", "b", "--truth", "truth.json", "--names", "truth.json"
    )
    assert "--confidence 95: must be 0.5 or more and below 1" in refused(monkeypatch, "a", "b", "--confidence", "95")
    for resamples in ("10", "10000000000"):
        said = f"--resamples {resamples}: must be 100 to 100000"
        assert said in refused(monkeypatch, "a", "b", "--resamples", resamples)
    assert "--seed -1: must be 0 or more" in refused(monkeypatch, "a", "b", "--seed", "-1")
    (folder / "taken").touch()
    assert "--out taken: is a file; name a folder" in refused(monkeypatch, "a", "b", "--out", "taken")
    assert "none.json: No such file" in refused(monkeypatch, "a", "b", "--truth", "none.json")
