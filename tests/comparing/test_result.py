from pathlib import Path

from diffaug.comparing.lines import Compared, Line
from diffaug.comparing.result import Result, result_table

WHOLE = Compared(Line("accuracy", 500), 0.5, 0.6, 0.1, 0.05, 0.15, 0.08, 0.0001, "B better")


def text(*lines: Compared) -> str:
    return result_table(Result([Path("a.csv")], [Path("b.csv")], [WHOLE, *lines], 0.9, 100, 0, "500 images", ["few"]))


def test_the_table() -> None:
    single = Compared(Line("accuracy of cat", 9, "cat"), 0.25, 0.5, 0.25)
    assert (
        text(single)
        == """\
test metric (x 100)     A     B  difference  90 % interval  visible from        p  verdict
-------------------  ----  ----  ----------  -------------  ------------  -------  --------
accuracy             50.0  60.0       +10.0  +5.0 to +15.0           8.0  < 0.001  B better
accuracy of cat      25.0  50.0       +25.0              -             -        -  -

A: a.csv.
B: b.csv.
The difference is B minus A, on 500 images.
The verdict is on the first line; the others show where a difference may lie, and prove none.
Note: few."""
    )


def test_of_many_classes_those_of_few_images_are_left_out() -> None:
    classes = [Compared(Line(f"c{n}", 50, f"c{n}"), 0, n / 100, n / 100, 0, 1) for n in range(30)]
    few = Compared(Line("rare", 2, "rare"), 0, 1, 1)
    shown = [line.split()[0] for line in text(*classes, few).splitlines() if line.startswith(("c", "rare"))]
    assert shown == [f"c{n}" for n in (*range(29, 19, -1), *range(9, -1, -1))]


def test_a_class_name_cannot_write_on_the_terminal() -> None:
    assert "of \\x1b[2J" in text(Compared(Line("accuracy of \x1b[2J", 50, "\x1b[2J"), 0, 0, 0))
