from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_inputs import METRICS, picture

from diffaug.evaluation.corruptions import Condition
from diffaug.report.corrupted import corrupted_sheet
from diffaug.report.sheet import COLUMNS, Tile, draw_sheet, sample, task_sheet
from diffaug.report.tables import per_class, training_curves, write_csv
from diffaug.report.verdict import read_metrics, verdict_table
from diffaug.runtime.errors import UserError
from diffaug.scoring.ledger import Entry


def test_the_verdict_table() -> None:
    lines = [line.split("  ") for line in verdict_table(METRICS).splitlines()]
    rows = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert rows[2:5] == [
        ["classifier accuracy", "75.0", "78.0", "+3.0", "+1.2 to +4.8", "2.5", "0.003", "helped"],
        ["classifier ECE (lower is better)", "10.0", "12.0", "+2.0", "+1.0 to +3.0", "1.5", "0.040", "hurt"],
        ["detector mAP50", "50.0", "49.0", "-1.0", "-3.0 to +1.0", "2.8", "0.300", "no difference"],
    ]
    assert "2000 cls images and 300 det images; 3 seeds" in verdict_table(METRICS)
    assert "Corrupted" not in verdict_table(METRICS)
    robustness = {"cls": {"images": 500, "corruptions": {name: {} for name in ("clean", "fog", "snow", "all")}}}
    said = "Corrupted: 500 cls images of these under fog, snow, averaged over severities."
    assert said in verdict_table(METRICS | {"robustness": robustness})


def test_no_metrics_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metrics\.json: not found; run `dvc repro` first"):
        read_metrics(tmp_path / "metrics.json")


def test_a_sample_is_spread_over_the_labels() -> None:
    records = [picture(f"{index:03d}", label=int(index > 95)) for index in range(100)]
    chosen = sample(records, 6, 0)
    assert [record.label for record in chosen] == [0, 0, 0, 1, 1, 1]
    assert chosen == sample(records, 6, 0)


def test_boxes_are_drawn() -> None:
    record = picture("a", bbox=((7.0, 7.0, 14.0, 14.0),), category=(1,))
    with_box = draw_sheet([("title", [Tile(record, "a")])])
    without = draw_sheet([("title", [Tile(picture("a"), "a")])])
    assert with_box.size == without.size
    assert with_box.tobytes() != without.tobytes()


def test_rejected_images_stand_apart() -> None:
    made = [picture(f"{index}", label=0) for index in range(COLUMNS + 1)]
    ledger = [Entry(f"{index}", "cat", {}, "" if index else "blank") for index in range(COLUMNS + 1)]
    one = task_sheet([], made, ledger, ("cat",), 1, 0)
    two = task_sheet([], made, [replace(entry, reason="") for entry in ledger], ("cat",), 2, 0)
    assert one.width == two.width and two.height > one.height


def test_tables(tmp_path: Path) -> None:
    for arm, values in {"real": [0.1, 0.2], "merged": [0.3, 0.5]}.items():
        for seed in (0, 1):
            folder = tmp_path / f"{arm}-{seed}"
            folder.mkdir()
            rows = [[step, value + seed / 10] for step, value in zip((5, 10), values)]
            write_csv(folder / "history.csv", ["step", "val_accuracy"], rows)
    curves = training_curves(tmp_path, [0, 1], "val_accuracy")
    assert [row[0] for row in curves] == [5, 10]
    assert [row[1:] for row in curves] == [pytest.approx([0.15, 0.35]), pytest.approx([0.25, 0.55])]
    table = per_class(["cat", "dog"], {"real": [[0.2, 0.4], [0.4, 0.6]], "merged": [[1.0, 0.0], [1.0, 0.0]]})
    assert [row[0] for row in table] == ["cat", "dog"]
    assert [row[1:] for row in table] == [pytest.approx([0.3, 1.0]), pytest.approx([0.5, 0.0])]


def test_a_sheet_of_scenes_says_which_colour_is_which_class() -> None:
    scene = picture("a", bbox=((2.0, 2.0, 9.0, 9.0),), category=(1,))
    sections = [("scenes", [Tile(scene, "a")])]
    plain, named = draw_sheet(sections), draw_sheet(sections, names=("cat", "dog"))
    legend = named.crop((0, 0, named.width, named.height - plain.height))
    assert legend.height > 0
    colors = {color for _, color in legend.getcolors(1 << 16)}
    assert (60, 180, 75) in colors and (230, 25, 75) not in colors  # the dog's, and no cat is in the picture
    many = [picture(str(n), bbox=((2.0, 2.0, 9.0, 9.0),), category=(n,)) for n in range(60)]
    wrapped = draw_sheet([("scenes", [Tile(one, "") for one in many])], names=[f"class number {n}" for n in range(60)])
    assert wrapped.width == named.width


def test_a_sheet_of_corruptions_has_a_row_for_each(tmp_path: Path) -> None:
    conditions = [Condition("clean", 0), *(Condition(name, n) for name in ("fog", "snow") for n in (1, 3, 5))]
    versions = [np.full((20, 30, 3), 30 * place, np.uint8) for place in range(7)]
    sheet = corrupted_sheet(versions, conditions)
    one = draw_sheet([("fog", [Tile(picture("a"), "")] * 4)], 4)
    assert sheet.width == one.width and sheet.height == 2 * one.height - 4
    shades = {color for _, color in sheet.getcolors(1 << 16)}
    assert {(30 * place,) * 3 for place in range(7)} <= shades
