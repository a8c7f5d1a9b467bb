"""Tiles cover a picture, and no seam is left between them."""

import numpy as np
import pytest
from PIL import Image

from diffaug.enlarging.tiles import Tile, Upscaler, count, enlarge, starts
from diffaug.runtime.errors import UserError


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8))


def nearest(tile: Tile) -> Image.Image:
    return tile.part.resize((tile.part.width * 3, tile.part.height * 3), Image.Resampling.NEAREST)


def test_where_tiles_begin() -> None:
    assert starts(100, 0) == starts(128, 128) == starts(5, 128) == [0]
    assert starts(129, 128) == [0, 1]
    assert starts(300, 128) == [0, 96, 172]
    assert starts(1000, 512) == [0, 448, 488]


@pytest.mark.parametrize("size", [(300, 130), (1, 1), (64, 200), (129, 128)])
@pytest.mark.parametrize(("tile", "multiple"), [(0, 1), (64, 1), (128, 1), (128, 64)])
def test_tiles_give_what_the_whole_gives(size: tuple[int, int], tile: int, multiple: int) -> None:
    one = picture(*size)
    upscaler = Upscaler("nearest", "", 3, 0, nearest, multiple)
    drawn: list[None] = []
    large = enlarge(one, upscaler, tile, lambda: drawn.append(None))
    assert np.array_equal(large, one.resize((size[0] * 3, size[1] * 3), Image.Resampling.NEAREST))
    assert len(drawn) == count(size, upscaler, tile)


def test_a_tile_is_told_its_place() -> None:
    one = picture(100, 70)
    padded = np.pad(np.asarray(one), ((0, 58), (0, 28), (0, 0)), "edge")
    seen = []

    def draw(tile: Tile) -> Image.Image:
        (left, top), (width, height) = tile.corner, tile.part.size
        assert tile.whole == (128, 128)
        assert np.array_equal(tile.part, padded[top : top + height, left : left + width])
        seen.append(tile.corner)
        return tile.part

    enlarge(one, Upscaler("same", "", 1, 0, draw, 64), 64, lambda: None)
    assert seen == [(left, top) for top in (0, 32, 64) for left in (0, 32, 64)]


def test_tiles_that_differ_fade_into_each_other() -> None:
    """The worst case: one tile black, the next one white. The step is spread over half of the 32 shared pixels."""

    def draw(tile: Tile) -> Image.Image:
        return Image.new("RGB", tile.part.size, "white" if tile.corner[0] else "black")

    row = np.asarray(enlarge(picture(96, 8), Upscaler("two", "", 1, 0, draw), 64, lambda: None))[0, :, 0].astype(int)
    assert (row[:40] == 0).all() and (row[56:] == 255).all()
    assert np.diff(row).min() >= 0 and np.diff(row).max() <= 255 / 16 + 1


def test_what_fails_is_one_line() -> None:
    def breaks(tile: Tile) -> Image.Image:
        raise RuntimeError("the sizes\ndo not fit")

    for draw, said in (
        (breaks, r"a\.pth: cannot enlarge 8 x 6 pixels \(the sizes do not fit\); take"),
        (nearest, r"a\.pth: cannot enlarge 8 x 6 pixels 2 times, made 24 x 18; take"),
    ):
        with pytest.raises(UserError, match=said):
            enlarge(picture(8, 6), Upscaler("a.pth", "", 2, 0, draw), 0, lambda: None)


def test_a_lack_of_memory_stays_what_it_is() -> None:
    def lacks(tile: Tile) -> Image.Image:
        raise MemoryError

    with pytest.raises(MemoryError):
        enlarge(picture(8, 6), Upscaler("a.pth", "", 2, 0, lacks), 0, lambda: None)
