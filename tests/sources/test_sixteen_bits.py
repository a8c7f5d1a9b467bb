"""Pictures of 16 bits that hold 8, 10, 12 or 14: all of a set are scaled by one white."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from diffaug.dataset.codec import canonical, decode, largest_value
from diffaug.params.download import Folder
from diffaug.sources.class_folders import class_folders
from diffaug.sources.placing import to_real_data
from diffaug.sources.real import RealData


def read(root: Path) -> RealData:
    params = Folder(source="folder", path=str(root), val_fraction=0.2, test_fraction=0.2)
    return to_real_data(class_folders(params), params, 0, True)


def save(path: Path, values: np.ndarray) -> None:
    """Grey (H, W) or RGB (H, W, 3) as a PNG or TIFF of 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = values if values.ndim == 2 else values[:, :, ::-1]
    assert cv2.imwrite(str(path), colours.astype(np.uint16))


def pictures(root: Path, largest: int, suffix: str, colour: bool = False) -> None:
    """Ten pictures of two classes: 0 at the left, and at the right of picture n (n + 1) / 10 of `largest`."""
    for number in range(10):
        values = np.zeros((8, 8, 3) if colour else (8, 8))
        values[:, 4:] = round(largest * (number + 1) / 10)
        values[number % 8, 0] = 1 + number
        save(root / ("cat", "dog")[number % 2] / f"{number}{suffix}", values)


def shades(data: RealData) -> dict[str, int]:
    """The grey level at the right of each picture."""
    found = [record for split in data.splits.values() for record in split]
    return {Path(record.id).stem: int(np.asarray(record.open().convert("L"))[0, 7]) for record in found}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    ("largest", "white"),
    [(200, 255), (255, 255), (256, 1023), (1023, 1023), (4095, 4095), (3000, 4095), (9000, 16383), (40000, 65535)],
)
def test_the_white_of_the_set(
    tmp_path: Path, largest: int, white: int, suffix: str, colour: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path, largest, suffix, colour)
    found = shades(read(tmp_path))
    for number in range(10):
        assert found[str(number)] == round(round(largest * (number + 1) / 10) * 255 / white)
    assert f"10 images have 16 bits, with values up to {largest}: {white} is read as white" in capsys.readouterr().out


def test_pictures_of_8_bits_beside_them_stay_as_they_are(tmp_path: Path) -> None:
    pictures(tmp_path, 4095, ".png")
    Image.new("L", (8, 8), 77).save(tmp_path / "cat/plain.png")
    found = shades(read(tmp_path))
    assert (found["plain"], found["9"], found["4"]) == (77, 255, 128)  # 2048 * 255 / 4095 = 127.5


def test_a_colour_of_16_bits_alone_keeps_its_upper_bits() -> None:
    values = np.array([[[65535, 32768, 0], [257, 128, 129]]], dtype=np.uint16)
    data = cv2.imencode(".png", values[:, :, ::-1])[1].tobytes()
    # 32768 / 257 = 127.5, 128 / 257 = 0.498, 129 / 257 = 0.502
    assert np.asarray(decode(data, "x")).tolist() == [[[255, 128, 0], [1, 0, 1]]]
    assert largest_value(data) == 65535


def test_transparency_of_16_bits_is_put_on_white() -> None:
    values = np.zeros((2, 2, 4), dtype=np.uint16)
    values[0, :, 3] = 65535
    data = cv2.imencode(".png", values)[1].tobytes()
    assert np.asarray(decode(data, "x", 4095))[:, 0].tolist() == [[0, 0, 0], [255, 255, 255]]
    assert largest_value(data) == 0


def test_what_has_8_bits_or_cannot_be_read_has_no_largest_value() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "white").save(buffer, "PNG")
    assert largest_value(buffer.getvalue()) is None
    assert largest_value(b"no image") is None
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(buffer, "TIFF")
    assert largest_value(buffer.getvalue()) is None


def test_a_rotated_picture_of_16_bits_is_turned() -> None:
    image = Image.fromarray(np.arange(8, dtype=np.uint16).reshape(2, 4) * 500)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", exif=exif)
    assert decode(canonical(buffer.getvalue(), "x", 4095), "x").size == (2, 4)
