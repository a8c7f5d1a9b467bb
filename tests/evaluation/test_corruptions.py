from typing import get_args

import imagecorruptions
import numpy as np
import pytest
from pydantic import ValidationError

from diffaug.evaluation.corruptions import Condition, choose_images, corrupt, list_conditions
from diffaug.evaluation.metrics import CLEAN
from diffaug.params.evaluate import Corruption, RobustnessParams


def photo(height: int = 40, width: int = 56) -> np.ndarray:
    """A smooth colour image, which every corruption changes."""
    y, x = np.mgrid[:height, :width]
    channels = [80 + 2 * x, 60 + 3 * y, 40 + x + y]
    return np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)


def test_params_allow_what_the_library_has() -> None:
    assert set(get_args(Corruption)) == set(imagecorruptions.get_corruption_names("all"))


@pytest.mark.parametrize("name", get_args(Corruption))
def test_every_corruption_is_the_same_twice(name: str) -> None:
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    for severity in (1, 5):
        first, second = (corrupt(photo(), Condition(name, severity), [0, 1]) for _ in range(2))
        assert first.dtype == np.uint8 and first.shape == photo().shape
        assert np.array_equal(first, second)
        assert not np.array_equal(first, photo())
    assert np.random.random() == expected  # the caller's random numbers are not changed


@pytest.mark.parametrize("name", ["gaussian_noise", "impulse_noise", "glass_blur", "fog"])
def test_images_have_draws_of_their_own(name: str) -> None:
    first, second = (corrupt(photo(), Condition(name, 3), [0, number]) for number in range(2))
    assert not np.array_equal(first, second)


def test_more_severe_is_further_away() -> None:
    distance = [
        np.abs(corrupt(photo(), Condition("gaussian_noise", severity), [0]).astype(float) - photo()).mean()
        for severity in range(6)
    ]
    assert distance[0] == 0 and distance == sorted(distance) and len(set(distance)) == 6


@pytest.mark.parametrize("size", [(16, 16), (5, 40), (1, 1)])
def test_images_that_the_library_refuses_are_padded(size: tuple[int, int]) -> None:
    pixels = photo(*size)
    with pytest.raises(AttributeError, match="at least 32"):
        imagecorruptions.corrupt(pixels, corruption_name="contrast")
    assert corrupt(pixels, Condition("contrast", 5), [0]).shape == pixels.shape


def test_conditions_begin_with_the_images_as_they_are() -> None:
    params = RobustnessParams(corruptions=["fog", "snow"], severities=[1, 4], images=50)
    assert list_conditions(params) == [
        Condition(CLEAN, 0),
        Condition("fog", 1),
        Condition("fog", 4),
        Condition("snow", 1),
        Condition("snow", 4),
    ]


def test_the_drawn_images_are_the_same_twice() -> None:
    params = RobustnessParams(corruptions=["fog"], severities=[1], images=50)
    drawn = choose_images(80, params, 0)
    assert len(set(drawn)) == 50
    assert drawn == sorted(drawn) == choose_images(80, params, 0)
    assert drawn != choose_images(80, params, 1)
    assert choose_images(50, params, 0) == list(range(50))


def test_small_pictures_are_zoomed_around_their_middle() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[4:8, 4:8] = 255  # around 5.5, near the middle, so that it hardly moves
    columns = corrupt(pixels, Condition("zoom_blur", 5), [0])[..., 0].sum(axis=0)
    assert abs(np.average(np.arange(16), weights=columns) - 5.5) < 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": 10}, "greater than or equal to 50"),
        ({"corruptions": ["rain"]}, "'gaussian_noise', 'shot_noise'"),
        ({"corruptions": ["fog", "fog"]}, "must name each value once"),
        ({"severities": [0]}, "greater than or equal to 1"),
        ({"severities": []}, "at least 1 item"),
    ],
)
def test_params_that_make_no_sense_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        RobustnessParams.model_validate({"corruptions": ["fog"], "severities": [1], "images": 50} | change)
