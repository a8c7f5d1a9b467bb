import numpy as np
from PIL import Image, ImageDraw

from diffaug.pictures.cutout import cut_out


def ring() -> Image.Image:
    """A grey square from (5, 6) to (14, 17) with a hole, on black, and a speck."""
    image = Image.new("L", (24, 24))
    pen = ImageDraw.Draw(image)
    pen.rectangle([5, 6, 14, 17], fill=150)
    pen.rectangle([8, 9, 10, 11], fill=0)
    image.putpixel((21, 21), 200)
    return image


def test_the_object_is_cut_out_with_its_holes_and_without_specks() -> None:
    cut = cut_out(ring())
    assert (cut.mode, cut.size) == ("LA", (10, 12))
    assert np.asarray(cut.getchannel("A")).min() == 255


def test_an_object_that_touches_the_border_is_cut_out() -> None:
    image = Image.new("L", (20, 20))
    image.paste(180, (4, 0, 14, 20))  # 20 of the 80 border pixels
    cut = cut_out(image)
    assert cut is not None
    assert cut.size == (10, 20)


def test_a_picture_without_a_plain_background_stays_whole() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(256, size=(20, 30, 3), dtype=np.uint8))
    assert (cut_out(noise).mode, cut_out(noise).size) == ("RGBA", (30, 20))
    assert cut_out(Image.new("L", (6, 5), 7)) is None
