from dataclasses import replace
from pathlib import Path

import pytest
from report_inputs import METRICS, picture

from diffaug.params.evaluate import RobustnessParams
from diffaug.report.corrupted import corrupted_sheet
from diffaug.report.sheet import COLUMNS, Tile, make_sheet, sample, task_sheet
from diffaug.report.style import about, p_value
from diffaug.report.verdict import read_details, verdict_table
from diffaug.runtime.errors import UserError
from diffaug.scoring.ledger import Entry


def test_the_verdict_table() -> None:
    text = verdict_table(METRICS)
    lines = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]
    assert lines[0] == [
        "Classifier accuracy: 800 synthetic images helped: +3.0 points, 95 % interval +1.2 to +4.8, on 2000 real test "
        "images with 3 seeds per arm."
    ]
    assert lines[5:9] == [
        ["classifier accuracy", "75.0", "78.0", "+3.0", "+1.2 to +4.8", "about 3", "0.002", "helped"],
        [
            *("classifier ECE, scaled (lower is better)", "5.0", "7.0", "+2.0", "+1.0 to +3.0"),
            *("about 3", "0.020", "hurt"),
        ],
        ["classifier ECE, raw (lower is better)", "10.0", "12.0", "+2.0", "+1.0 to +3.0", "-", "-", "not tested"],
        ["detector mAP50", "50.0", "49.0", "-1.0", "-3.0 to +1.0", "about 3", "0.300", "no difference"],
    ]
    assert "2000 cls images and 300 det images; 3 seeds" in text
    assert "Always answering the most frequent class is right in 10.0 % of the cls test images." in text
    assert "Corrupted" not in text
    robustness = {"cls": {"images": 500, "corruptions": {name: {} for name in ("clean", "fog", "snow", "all")}}}
    said = "Corrupted: 500 cls images of these under fog, snow, averaged over severities."
    assert said in verdict_table(METRICS | {"robustness": robustness})


def test_a_weak_model_is_said_in_the_first_sentence() -> None:
    text = verdict_table(METRICS | {"weak": {"cls": "both arms are near chance"}})
    assert text.splitlines()[0].startswith(
        "Classifier accuracy: too weak to say whether it helped: both arms are near chance. Measured: +3.0 points, 95 %"
    )


def test_no_details_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"details\.json: not found; run `dvc repro` first"):
        read_details(tmp_path / "details.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "list indices must be"),
        ("{}", "no 'confidence'"),
        ("[" * 200_000, "recursion"),
    ],
)
def test_details_that_evaluate_did_not_write_are_one_line(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "details.json").write_text(content)
    with pytest.raises(UserError) as error:
        read_details(tmp_path / "details.json")
    assert "details.json: not what `evaluate` writes (" in str(error.value) and reason in str(error.value)


def test_a_sample_is_spread_over_the_labels() -> None:
    records = [picture(f"{index:03d}", label=int(index > 95)) for index in range(100)]
    chosen = sample(records, 6, 0)
    assert [record.label for record in chosen] == [0, 0, 0, 1, 1, 1]
    assert chosen == sample(records, 6, 0)


def test_boxes_are_drawn() -> None:
    record = picture("a", bbox=((7.0, 7.0, 14.0, 14.0),), category=(1,))
    with_box = make_sheet([("title", [Tile(record, "a")])])
    without = make_sheet([("title", [Tile(picture("a"), "a")])])
    assert with_box.size == without.size
    assert with_box.tobytes() != without.tobytes()


def test_rejected_images_stand_apart() -> None:
    made = [picture(f"{index}", label=0) for index in range(COLUMNS + 1)]
    ledger = [Entry(f"{index}", "cat", {}, "" if index else "blank") for index in range(COLUMNS + 1)]
    one = task_sheet([], made, ledger, ("cat",), 1, 0)
    two = task_sheet([], made, [replace(entry, reason="") for entry in ledger], ("cat",), 2, 0)
    assert one.width == two.width and two.height > one.height


def test_a_sheet_of_scenes_says_which_colour_is_which_class() -> None:
    scene = picture("a", bbox=((2.0, 2.0, 9.0, 9.0),), category=(1,))
    sections = [("scenes", [Tile(scene, "a")])]
    plain, named = make_sheet(sections), make_sheet(sections, names=("cat", "dog"))
    legend = named.crop((0, 0, named.width, named.height - plain.height))
    assert legend.height > 0
    colors = {color for _, color in legend.getcolors(1 << 16)}
    assert (60, 180, 75) in colors and (230, 25, 75) not in colors  # the dog's colour; there is no cat in the image
    many = [picture(str(n), bbox=((2.0, 2.0, 9.0, 9.0),), category=(n,)) for n in range(60)]
    wrapped = make_sheet([("scenes", [Tile(one, "") for one in many])], names=[f"class number {n}" for n in range(60)])
    assert wrapped.width == named.width


def test_a_sheet_of_corruptions_has_a_row_for_each() -> None:
    """The original first, then the severities in order: a grey image gets brighter, or stays as grey."""
    params = RobustnessParams(corruptions=["brightness", "contrast"], severities=[1, 3, 5], images=50)
    one = make_sheet([("fog", [Tile(picture("a"), "")] * 4)], 4)
    for label in (0, None):
        sheet = corrupted_sheet([picture("a", label=label)], params, 32, 0)
        assert sheet.width == one.width and sheet.height == 2 * one.height - 6
        side, row = (sheet.width - 6) // 4, one.height - 6
        levels = [[sheet.getpixel((20 + side * column, 60 + row * line))[0] for column in range(4)] for line in (0, 1)]
        assert levels[0][0] == levels[1][0] == 128
        assert sorted(set(levels[0])) == levels[0] and levels[0][3] > 200
        assert all(abs(level - 128) <= 1 for level in levels[1])


def test_an_approximate_number_has_one_digit() -> None:
    assert [about(points) for points in (2.8, 12.3, 0.34, 0)] == ["about 3", "about 12", "about 0.3", "-"]


def test_reports_write_the_same_p_everywhere() -> None:
    assert [p_value(p) for p in (0.25, 0.0005, 0.00049)] == ["0.250", "0.001", "< 0.001"]
