import numpy as np
import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record
from diffaug.generation.plan.boxes import longer_sides, rarity
from diffaug.pictures.squares import apart, square


@pytest.mark.parametrize(
    ("box", "context", "expected"),
    [
        ((40, 30, 20, 10), 1.0, (40, 25, 60, 45)),
        ((40, 30, 20, 10), 2.0, (30, 15, 70, 55)),
        ((0, 0, 10, 10), 2.0, (0, 0, 20, 20)),  # shifted into the image
        ((95, 50, 5, 10), 2.0, (80, 40, 100, 60)),
        ((10, 10, 50, 40), 3.0, (0, 0, 100, 60)),  # no larger than the image
    ],
)
def test_squares_lie_around_their_box(box: tuple, context: float, expected: tuple) -> None:
    assert square(box, (100, 60), context) == expected


def test_regions_that_touch_are_apart() -> None:
    assert apart((0, 0, 10, 10), [(10, 0, 20, 10), (0, 10, 10, 20)])
    assert not apart((0, 0, 10, 10), [(9, 9, 20, 20)])


def test_rare_classes_come_more_often_and_sizes_are_the_classes_own() -> None:
    record = make_record(
        "a",
        encode_png(Image.new("L", (50, 50))),
        "train",
        bbox=((0, 0, 30, 10), (0, 0, 10, 20), (0, 0, 5, 5), (0, 0, 7, 4)),
        category=(0, 0, 0, 1),
    )
    train = ImageSet(("common", "rare", "none"), (record,))
    assert np.allclose(rarity(train), np.array([1 / 4, 1 / 2, 1]) / 1.75)
    assert longer_sides(train) == [[5, 20, 30], [7], [5, 7, 20, 30]]
