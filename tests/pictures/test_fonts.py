"""All letters that a font lacks are drawn as the same box."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from report_inputs import picture

from diffaug.pictures import fonts
from diffaug.pictures.fonts import font_for, letter_in_figure
from diffaug.pictures.grid import Cell, make_grid
from diffaug.report.figures import write_intervals
from diffaug.report.sheet import Tile, make_sheet


def drawn(text: str) -> np.ndarray:
    image = Image.new("L", (40, 30))
    ImageDraw.Draw(image).text((2, 2), text, fill=255, font=font_for(text, 20))
    return np.asarray(image)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("é", "ß"), ("ж", "д")])
def test_letters_are_drawn(one: str, other: str) -> None:
    assert drawn(one).any() and not np.array_equal(drawn(one), drawn(other))


@pytest.mark.skipif(fonts._eastern() is None, reason="no font with Chinese letters on this machine")
@pytest.mark.parametrize(("one", "other"), [("猫", "狗"), ("裤", "鞋")])
def test_chinese_letters_are_drawn(one: str, other: str) -> None:
    assert drawn(one).any() and not np.array_equal(drawn(one), drawn(other))
    sheets = [make_sheet([(name, [Tile(picture("a"), name)])]) for name in (one, other)]
    assert sheets[0].tobytes() != sheets[1].tobytes()
    grids = [make_grid(name, [name], [(name, [Cell(Image.new("RGB", (8, 8)), name)])]) for name in (one, other)]
    assert grids[0].tobytes() != grids[1].tobytes()


@pytest.mark.skipif(fonts._eastern() is None, reason="no font with Chinese letters on this machine")
def test_chinese_letters_are_drawn_in_plots(tmp_path: Path) -> None:
    for name in "猫狗":
        write_intervals([(name, -1.0, 0.0, 1.0, "")], "points", tmp_path / f"{name}.png")
    assert (tmp_path / "猫.png").read_bytes() != (tmp_path / "狗.png").read_bytes()


def test_a_plot_takes_the_font_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    file = font_manager.findfont("STIXGeneral")  # stands for a Chinese font
    monkeypatch.setattr(fonts, "_eastern", lambda: file)
    figure = Figure()
    axes = figure.subplots()
    axes.set_yticks([0, 1], ["猫", "cat"])
    letter_in_figure(figure)
    families = [label.get_fontfamily() for label in axes.get_yticklabels()]
    assert families[0] == ["DejaVu Sans", "STIXGeneral"] and "STIXGeneral" not in families[1]


def test_without_such_a_font_a_sheet_is_drawn_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_eastern", lambda: None)
    assert make_sheet([("猫", [Tile(picture("a"), "狗")])]).height > 0
