import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffaug.dataset.codec import canonical, decode, encode_png, read_file, to_rgb_array
from diffaug.runtime.errors import UserError


def encoded(image: Image.Image, format: str, **settings: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **settings)
    return buffer.getvalue()


def gradient(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(np.arange(12 * 10 * 3, dtype=np.uint8).reshape(10, 12, 3)).convert(mode)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_truncated_files_are_refused_by_name(tmp_path: Path, format: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8))
    path = tmp_path / "cut.img"
    path.write_bytes(encoded(noise, format)[:-3000])
    with pytest.raises(UserError, match=r"cut\.img: not a readable image"):
        read_file(path)


def test_a_text_file_is_refused() -> None:
    with pytest.raises(UserError, match=r"a\.png: not a readable image"):
        decode(b"hello", "a.png")


def test_cmyk_becomes_rgb() -> None:
    image = decode(encoded(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", quality=100), "a")
    assert image.mode == "RGB"
    red, green, blue = image.getpixel((1, 1))
    assert red > 220 and green < 40 and blue < 40


def test_sixteen_bits_are_scaled() -> None:
    pixels = np.array([[0, 257, 257 * 128, 65535]], dtype=np.uint16)
    image = decode(encoded(Image.fromarray(pixels), "PNG"), "a")
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[0, 1, 128, 255]]


def test_float_pixels_are_refused() -> None:
    with pytest.raises(UserError, match="save the image with 8 or 16 bits"):
        decode(encoded(Image.new("F", (2, 2), 0.5), "TIFF"), "a.tif")


def test_exif_rotation_is_applied_and_stored() -> None:
    image = Image.new("RGB", (8, 4), "black")
    image.paste("white", (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    data = encoded(image, "JPEG", quality=100, exif=exif)
    stored = canonical(data, "a")
    turned = decode(stored, "a")
    assert Image.open(io.BytesIO(stored)).format == "PNG"
    assert turned.size == (4, 8)
    assert turned.getpixel((1, 1))[0] > 200 and turned.getpixel((1, 6))[0] < 50


def test_a_plain_jpeg_keeps_its_bytes() -> None:
    data = encoded(gradient(), "JPEG")
    assert canonical(data, "a") == data
    assert canonical(encoded(gradient("CMYK"), "JPEG"), "a") != encoded(gradient("CMYK"), "JPEG")


def test_transparency_is_put_on_white() -> None:
    image = decode(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 0)), "PNG"), "a")
    assert (image.mode, image.getpixel((0, 0))) == ("RGB", (255, 255, 255))
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([10, 20, 30])
    assert decode(encoded(palette, "PNG", transparency=0), "a").getpixel((0, 0)) == (255, 255, 255)
    assert decode(encoded(palette, "PNG"), "a").getpixel((0, 0)) == (10, 20, 30)


def test_one_bit_becomes_grey() -> None:
    image = decode(encoded(Image.new("1", (2, 2), 1), "PNG"), "a")
    assert (image.mode, image.getpixel((0, 0))) == ("L", 255)


def test_png_bytes_are_the_same_and_hold_no_metadata() -> None:
    image = gradient()
    image.info["comment"] = "secret"
    assert encode_png(image) == encode_png(gradient())
    assert set(Image.open(io.BytesIO(encode_png(image))).info) == set()
    assert np.array_equal(np.asarray(decode(encode_png(image), "a")), np.asarray(image))


def test_to_rgb_array_scales_to_a_square() -> None:
    assert to_rgb_array(gradient("L"), 16).shape == (16, 16, 3)
    assert to_rgb_array(gradient("L")).shape == (10, 12, 3)


def test_a_postscript_file_named_png_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[object] = []
    drawn = Image.new("L", (9, 9)).im
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *arguments: ran.append(arguments) or drawn)
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    with pytest.raises(UserError) as error:
        decode(postscript, "x.png")
    assert str(error.value) == (
        "x.png: not a readable image (none of the formats PNG, JPEG, BMP, TIFF, WEBP, PPM); replace or remove the file"
    )
    Image.open(io.BytesIO(postscript)).load()  # Pillow alone would run it
    assert ran


@pytest.mark.parametrize("format", ["GIF", "PCX", "TGA", "ICO", "SGI", "JPEG2000"])
def test_other_formats_are_refused_whatever_their_name(format: str) -> None:
    with pytest.raises(UserError, match="none of the formats PNG, JPEG"):
        decode(encoded(gradient(), format), "x.png")


def test_a_huge_image_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.new("1", (13000, 13000)), "PNG")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(UserError, match=r"x\.png: 13000 x 13000 pixels, but at most 64 million are read; scale"):
        decode(data, "x.png")


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_several_frames_are_refused(format: str) -> None:
    data = encoded(gradient(), format, save_all=True, append_images=[gradient().rotate(180)])
    with pytest.raises(UserError, match=r"x: has 2 frames or pages; save the one that is meant as a file of its own"):
        decode(data, "x")


def test_the_previews_in_a_phones_jpeg_are_left_out() -> None:
    image = decode(encoded(gradient(), "MPO", save_all=True, append_images=[gradient().resize((3, 3))]), "x.jpg")
    assert image.size == gradient().size
