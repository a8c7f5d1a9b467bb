import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from segmenters import ellipses, inside
from shared_data import shared

from diffaug.pictures.boxes import outline
from diffaug.pictures.cutout import has_plain_ground
from diffaug.pictures.grabcut import in_box, in_middle


def iou(mask: np.ndarray | None, wanted: np.ndarray) -> float:
    assert mask is not None
    return float((mask & wanted).sum() / (mask | wanted).sum())


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (300, 200)])
def test_the_object_in_the_middle_is_found_at_any_size(size: tuple[int, int]) -> None:
    width, height = size
    box = (width // 4, height // 4, 3 * width // 4, 3 * height // 4)
    mask = in_middle(ellipses(size, {box: "cat"}))
    assert mask is not None and mask.shape == (height, width) and mask.dtype == bool
    assert iou(mask, inside(size, box)) > 0.8


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ((2, 2, 22, 22), "it is not in the middle"),
        ((26, 26, 40, 40), "it is small: a part of an object, mostly"),
        ((-20, 16, 84, 48), "it goes on outside of the image"),
        ((-30, -30, 94, 94), "it is nearly all"),
    ],
)
def test_an_object_that_is_not_clear_is_not_taken(box: tuple[int, int, int, int], why: str) -> None:
    assert in_middle(ellipses((64, 64), {box: "cat"})) is None, why


@pytest.mark.parametrize(
    "pixels",
    [
        np.tile(np.arange(16) * 16, (16, 1)),
        np.random.default_rng(0).integers(256, size=(16, 16, 3)),
        np.full((16, 16, 3), 90),
        np.full((1, 5, 3), 90),
    ],
)
def test_where_nothing_is_there_is_no_object(pixels: np.ndarray) -> None:
    assert in_middle(Image.fromarray(pixels.astype(np.uint8))) is None


def test_what_fills_a_box_is_found_in_it() -> None:
    box = (10, 8, 40, 40)
    mask = in_box(ellipses((64, 48), {box: "cat"}), (10.0, 8.0, 31.0, 33.0))
    assert mask is not None and iou(mask, inside((64, 48), box)) > 0.95
    assert outline(mask) == (10, 8, 31, 33)


@pytest.mark.parametrize("box", [(0.0, 0.0, 64.0, 48.0), (5.0, 5.0, 1.0, 20.0), (70.0, 5.0, 10.0, 10.0)])
def test_a_box_without_inside_or_outside_has_no_object(box: tuple[float, float, float, float]) -> None:
    assert in_box(ellipses((64, 48), {}), box) is None


def test_of_photographs_only_some_are_taken_and_always_the_same_pixels() -> None:
    """The first 30 of CIFAR-10 in this order that have no plain ground: 32 pixels, any pose."""
    with zipfile.ZipFile(shared("cifar10-jpeg-20k/cifar10_jpeg_20k.zip")) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[::97]
        images = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    photographs = [image for image in images if not has_plain_ground(image)][:30]
    masks = [in_middle(image) for image in photographs]
    found = [mask for mask in masks if mask is not None]
    assert len(photographs) == 30 and 1 <= len(found) <= 8
    for mask in found:
        assert mask.shape == (32, 32) and 0.14 < mask.mean() < 0.76 and mask[12:20, 12:20].mean() >= 0.45
    again = [in_middle(image) for image in photographs[:5]]
    assert [None if one is None else one.tobytes() for one in again] == [
        None if one is None else one.tobytes() for one in masks[:5]
    ]
