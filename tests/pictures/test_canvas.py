import numpy as np
import pytest
from PIL import Image, ImageDraw

from diffaug.pictures.canvas import Canvas, leave_text_canvas

SHAPES = [
    # size, drawn, the part of the image that "crop" uses, the part of the canvas that "pad" fills
    ((100, 60), (64, 64), (20, 0, 80, 60), (0, 13, 64, 51)),
    ((60, 100), (64, 64), (0, 20, 60, 80), (13, 0, 51, 64)),
    ((100, 100), (64, 32), (0, 25, 100, 75), (16, 0, 48, 32)),
    ((100, 100), (32, 64), (25, 0, 75, 100), (0, 16, 32, 48)),
    ((10, 20), (64, 48), (0, 6, 10, 14), (20, 0, 44, 48)),
    ((1000, 1), (64, 64), (499, 0, 500, 1), (0, 31, 64, 32)),
    ((64, 32), (64, 32), (0, 0, 64, 32), (0, 0, 64, 32)),
    ((28, 28), (32, 32), (0, 0, 28, 28), (2, 2, 30, 30)),
    ((28, 20), (32, 32), (4, 0, 24, 20), (2, 6, 30, 26)),
    ((27, 27), (32, 32), (0, 0, 27, 27), (0, 0, 32, 32)),
    ((480, 480), (512, 512), (0, 0, 480, 480), (0, 0, 512, 512)),
]


def noise(size: tuple[int, int], mode: str = "RGB", seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(256, size=(size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize(("size", "drawn", "seen", "filled"), SHAPES)
def test_fit(size: tuple[int, int], drawn: tuple[int, int], seen: tuple[int, ...], filled: tuple[int, ...]) -> None:
    assert Canvas.fit(size, drawn, "crop") == Canvas(size, drawn, seen, (0, 0, *drawn))
    assert Canvas.fit(size, drawn, "pad") == Canvas(size, drawn, (0, 0, *size), filled)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("how", ["crop", "pad"])
@pytest.mark.parametrize(("size", "drawn"), [shape[:2] for shape in SHAPES])
def test_the_model_sees_its_size_and_the_result_has_the_sources(
    size: tuple[int, int], drawn: tuple[int, int], how: str, mode: str
) -> None:
    canvas, source = Canvas.fit(size, drawn, how), noise(size, mode)
    entered = canvas.enter(source)
    assert (entered.size, entered.mode) == (drawn, mode)
    left = canvas.leave(noise(drawn), source)
    assert (left.size, left.mode) == (size, "RGB")


@pytest.mark.parametrize(("size", "seen"), [((100, 60), (20, 0, 80, 60)), ((60, 100), (0, 20, 60, 80))])
def test_crop_keeps_what_the_model_did_not_see(size: tuple[int, int], seen: tuple[int, ...]) -> None:
    source = noise(size)
    before = source.copy()
    left = np.asarray(Canvas.fit(size, (64, 64), "crop").leave(Image.new("RGB", (64, 64), (1, 2, 3)), source))
    inside = np.zeros((size[1], size[0]), dtype=bool)
    inside[seen[1] : seen[3], seen[0] : seen[2]] = True
    assert np.array_equal(left[~inside], np.asarray(source)[~inside])
    assert (left[inside] == (1, 2, 3)).all()
    assert source == before


def test_crop_sees_the_middle() -> None:
    source = noise((100, 64))
    assert Canvas.fit((100, 64), (64, 64), "crop").enter(source) == source.crop((18, 0, 82, 64))


@pytest.mark.parametrize(("size", "axis"), [((6, 2), 0), ((2, 6), 1)])
def test_pad_repeats_the_edges(size: tuple[int, int], axis: int) -> None:
    source = noise(size)
    entered = np.asarray(Canvas.fit(size, (6, 6), "pad").enter(source)).swapaxes(0, axis)
    pixels = np.asarray(source).swapaxes(0, axis)
    assert np.array_equal(entered, pixels[[0, 0, 0, 1, 1, 1]])


@pytest.mark.parametrize(
    ("how", "size"),
    [
        ("crop", (64, 90)),
        ("crop", (91, 64)),
        ("pad", (64, 41)),
        ("pad", (40, 64)),
        ("crop", (64, 64)),
        ("pad", (64, 64)),
    ],
)
def test_an_image_that_needs_no_scaling_comes_back_as_it_was(how: str, size: tuple[int, int]) -> None:
    source = noise(size)
    canvas = Canvas.fit(size, (64, 64), how)
    assert canvas.leave(canvas.enter(source), source) == source


def test_sizes_that_match_pass_pixels_through() -> None:
    source, drawn = noise((48, 32)), noise((48, 32), seed=1)
    for how in ("crop", "pad"):
        canvas = Canvas.fit((48, 32), (48, 32), how)
        assert canvas.enter(source) == source
        assert canvas.leave(drawn, source) == drawn


def test_a_mask_stays_a_mask() -> None:
    mask = Image.new("L", (30, 10))
    ImageDraw.Draw(mask).rectangle([10, 3, 19, 6], fill=255)
    for how in ("crop", "pad"):
        entered = Canvas.fit((30, 10), (64, 64), how).enter(mask, Image.Resampling.NEAREST)
        assert set(np.unique(np.asarray(entered))) == {0, 255}


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((64, 64), (24, 24, 40, 40)),
        ((32, 32), (12, 12, 20, 20)),
        ((32, 16), (12, 4, 20, 12)),
        ((16, 32), (4, 12, 12, 20)),
        ((128, 64), (48, 16, 80, 48)),
    ],
)
def test_what_was_drawn_from_a_text_keeps_its_aspect(size: tuple[int, int], box: tuple[int, ...]) -> None:
    drawn = Image.new("RGB", (64, 64))
    ImageDraw.Draw(drawn).rectangle([24, 24, 39, 39], fill="white")
    result = leave_text_canvas(drawn, size)
    assert result.size == size
    assert result.convert("L").point(lambda value: 255 * (value > 127)).getbbox() == box
