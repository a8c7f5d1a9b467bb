"""What a picture has beside its colours: an orientation, transparency, a profile, and text."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from diffaug.enlarging.pictures import read_picture, text_of, write_picture
from diffaug.runtime.errors import UserError

LANCZOS = Image.Resampling.LANCZOS
TURNED = Image.Exif()
TURNED[ExifTags.Base.Orientation] = 6  # to be turned to the right
WEBUI = "a red house\nSteps: 25, Sampler: DPM++ 2M, CFG scale: 6.5, Seed: 42, Size: 8x8"


def pixels(mode: str) -> Image.Image:
    """4 x 3 pixels, all different."""
    count = len(mode) if mode in ("LA", "RGB", "RGBA") else 1
    return Image.fromarray(
        (np.arange(12 * count) * 255 // (12 * count)).astype(np.uint8).reshape(3, 4, count).squeeze()
    )


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_picture_is_turned_upright_and_keeps_its_mode(tmp_path: Path, mode: str) -> None:
    one = pixels(mode)
    assert one.mode == mode
    one.save(tmp_path / "a.png", exif=TURNED)
    upright = one.transpose(Image.Transpose.ROTATE_270)
    found = read_picture(tmp_path / "a.png")
    assert found.colour.mode == mode.removesuffix("A")
    if mode.endswith("A"):
        assert found.alpha is not None and np.array_equal(found.alpha, upright.getchannel("A"))
    else:
        assert found.alpha is None
    write_picture(found.colour, found, LANCZOS, {}, tmp_path / "b.png")
    written = Image.open(tmp_path / "b.png")
    assert written.mode == mode and written.getexif().get(ExifTags.Base.Orientation) is None
    seen = np.asarray(upright)[..., -1] > 0 if mode.endswith("A") else np.ones((4, 3), bool)
    assert np.array_equal(np.asarray(written)[seen], np.asarray(upright)[seen])


def test_a_palette_with_transparency_becomes_rgba(tmp_path: Path) -> None:
    one = Image.new("P", (2, 1))
    one.putpalette([255, 0, 0, 0, 0, 255])
    one.putdata([0, 1])
    one.save(tmp_path / "a.png", transparency=1)
    found = read_picture(tmp_path / "a.png")
    assert found.alpha is not None and list(found.alpha.get_flattened_data()) == [255, 0]
    assert found.colour.mode == "RGB" and found.colour.getpixel((0, 0)) == (255, 0, 0)


def test_what_nobody_sees_gives_no_fringe(tmp_path: Path) -> None:
    """A white square on transparent black: no grey rim when it is enlarged."""
    colours = np.zeros((16, 16, 4), np.uint8)
    colours[4:12, 4:12] = 255
    Image.fromarray(colours).save(tmp_path / "a.png")
    found = read_picture(tmp_path / "a.png")
    assert (np.asarray(found.colour) == 255).all()
    write_picture(found.colour.resize((32, 32)), found, LANCZOS, {}, tmp_path / "b.png")
    alpha = np.asarray(Image.open(tmp_path / "b.png"))[..., 3]
    assert alpha[0, 0] == 0 and alpha[16, 16] == 255


def test_the_text_stays_except_for_what_would_turn_it_again(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", WEBUI)
    info.add_itxt("Title", "ein Haus, 房子")
    info.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>')
    pixels("RGB").save(tmp_path / "a.png", pnginfo=info)
    found = read_picture(tmp_path / "a.png")
    write_picture(found.colour, found, LANCZOS, {"more": "1"}, tmp_path / "b.png")
    assert text_of(tmp_path / "b.png") == {"parameters": WEBUI, "Title": "ein Haus, 房子", "more": "1"}
    assert read_picture(tmp_path / "b.png").colour.size == found.colour.size


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_the_settings_in_a_jpeg_of_webui(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + WEBUI.encode("utf-16-be")
    pixels("RGB").save(tmp_path / f"a.{kind}", exif=exif)
    assert text_of(tmp_path / f"a.{kind}") == {"parameters": WEBUI}


def test_the_profile_stays(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels("RGB").save(tmp_path / "a.png", icc_profile=profile)
    found = read_picture(tmp_path / "a.png")
    write_picture(found.colour, found, LANCZOS, {}, tmp_path / "b.png")
    assert Image.open(tmp_path / "b.png").info["icc_profile"] == profile
    cmyk = pixels("RGB").convert("CMYK")
    cmyk.save(tmp_path / "c.jpg", icc_profile=profile)  # of other colours than the RGB that it becomes
    assert read_picture(tmp_path / "c.jpg").profile is None


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("none")
    with pytest.raises(UserError, match=r"a\.png: not a readable image"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"b\.png"):
        read_picture(tmp_path / "b.png")
    assert text_of(tmp_path / "a.png") == text_of(tmp_path / "b.png") == {}
