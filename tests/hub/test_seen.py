"""The hashes of a generator's training images, which travel with its weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from diffaug.hub.seen import NOTHING_SEEN, read_seen, write_seen
from diffaug.params.base import SEEN
from diffaug.pictures.hashing import pixel_hash
from diffaug.runtime.errors import UserError


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (28, 28), dtype=np.uint8))


def test_a_training_image_is_found_in_grey_and_in_rgb(tmp_path: Path) -> None:
    write_seen(tmp_path, map(noise, range(6)))
    seen = read_seen(str(tmp_path))
    assert len(seen.trained) == 6
    assert all(pixel_hash(noise(seed)) in seen and pixel_hash(noise(seed).convert("RGB")) in seen for seed in range(6))
    assert pixel_hash(noise(6)) not in seen and pixel_hash(noise(0).rotate(180)) not in seen
    assert pixel_hash(noise(0)) not in NOTHING_SEEN and read_seen(None) == NOTHING_SEEN


def test_the_order_of_the_images_does_not_change_the_bytes(tmp_path: Path) -> None:
    written = []
    for order in (range(5), reversed(range(5))):
        write_seen(tmp_path, map(noise, order))
        written.append((tmp_path / SEEN).read_bytes())
    assert written[0] == written[1]


def test_a_model_that_does_not_state_its_images(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"has no seen\.safetensors, so it is unknown .* set download\.unseen_by to null"
    ):
        read_seen(str(tmp_path))


def test_a_file_with_other_content(tmp_path: Path) -> None:
    for content in ({"other": np.zeros(3)}, {"trained": np.zeros((2, 2))}):
        save_file(content, tmp_path / SEEN)
        with pytest.raises(UserError, match=r"seen\.safetensors: cannot be read"):
            read_seen(str(tmp_path))


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 100])
def test_a_damaged_file(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write_seen(tmp_path, map(noise, range(5)))
    (tmp_path / SEEN).write_bytes(damage((tmp_path / SEEN).read_bytes()))
    with pytest.raises(UserError, match=r"seen\.safetensors: cannot be read .* get the model's folder again"):
        read_seen(str(tmp_path))
