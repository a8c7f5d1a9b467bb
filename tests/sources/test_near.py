import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record
from diffaug.hub.seen import Seen
from diffaug.pictures.hashing import pixel_hash
from diffaug.sources.near import Known

NOISE = np.random.default_rng(0)


def picture(seed: int, x: int = 0) -> np.ndarray:
    """A picture of smooth spots, 28 x 28, `x` pixels to the right in a larger one."""
    large = np.random.default_rng(seed).normal(size=(40, 40))
    smooth = cv2.GaussianBlur(large, (0, 0), 3)[6:34, 6 + x : 34 + x]
    return (128 + 400 * smooth).clip(0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return np.asarray(Image.open(buffer))


COPIES: dict[str, Callable[[int], np.ndarray]] = {
    "same": picture,
    "encoded again": lambda seed: jpeg(picture(seed)),
    "shifted": lambda seed: picture(seed, 1),
    "mirrored": lambda seed: picture(seed)[:, ::-1],
    "mirrored and shifted": lambda seed: picture(seed, -1)[:, ::-1],
    "paler": lambda seed: picture(seed) // 2 + 40,
    "noisy": lambda seed: (picture(seed) + NOISE.normal(0, 4, (28, 28))).clip(0, 255).astype(np.uint8),
}


def known(count: int) -> Known:
    images = [Image.fromarray(picture(seed)) for seed in range(count + 1)]
    seen = Seen("model", frozenset(int(pixel_hash(image)[:16], 16) for image in images[:count]))
    return Known(images, seen)  # the last one is in the files, but the generator has not seen it


@pytest.mark.parametrize("copy", COPIES)
def test_copies_are_found(copy: str) -> None:
    made = [Image.fromarray(COPIES[copy](seed)) for seed in range(20)]
    assert known(20).nearest(made).max() < 0.002


def test_other_images_and_unknown_ones_are_not() -> None:
    distances = known(20).nearest([Image.fromarray(picture(seed)) for seed in range(20, 40)])
    assert distances.min() > 0.05


def test_what_is_said_of_records() -> None:
    records = [make_record(f"r{n}", encode_png(Image.fromarray(picture(n))), "test", label=0) for n in (0, 25)]
    assert known(20).copies(records) == {pixel_hash(records[0].open())}
    assert known(20).copies([]) == set()


def test_flat_pictures_are_no_copies() -> None:
    flat = Image.new("L", (28, 28), 90)
    assert known(5).nearest([flat, Image.new("L", (28, 28))]) == pytest.approx([1, 1], abs=0.001)
