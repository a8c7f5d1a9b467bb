"""All letters that a font lacks are drawn as the same box."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from report_inputs import picture

from diffaug.pictures import fonts
from diffaug.pictures.fonts import font_for
from diffaug.pictures.grid import Cell, make_grid
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


def test_without_such_a_font_a_sheet_is_drawn_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_eastern", lambda: None)
    assert make_sheet([("猫", [Tile(picture("a"), "狗")])]).height > 0
