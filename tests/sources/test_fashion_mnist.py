import gzip
from pathlib import Path

import numpy as np
import pytest

from diffaug.runtime.errors import UserError
from diffaug.sources import fashion_mnist
from diffaug.sources.fashion_mnist import SHA256, _draw, fetch


def test_no_image_is_drawn_twice() -> None:
    images = np.arange(100, dtype=np.uint8).reshape(100, 1, 1)
    images[50:60] = images[40:50]  # copies
    labels = np.arange(100, dtype=np.uint8) % 10
    drawn = _draw(images, labels, {"val": 2, "train": 3}, 30, np.random.default_rng(0), set())
    assert {split: len(indices) for split, indices in drawn.items()} == {"val": 20, "train": 30, "pool": 30}
    pixels = [images[index].tobytes() for indices in drawn.values() for index in indices]
    assert len(set(pixels)) == 80
    assert np.bincount(labels[drawn["train"]]).tolist() == [3] * 10


def test_more_than_there_are_is_refused() -> None:
    images, labels = np.arange(50, dtype=np.uint8).reshape(50, 1, 1), np.arange(50, dtype=np.uint8) % 10
    for per_class, pool in ((6, 0), (4, 11)):
        with pytest.raises(
            UserError, match=rf"train_per_class {per_class} and pool {pool} are more than the 50 images"
        ):
            _draw(images, labels, {"train": per_class}, pool, np.random.default_rng(0), set())


def test_damaged_files_are_removed(tmp_path: Path) -> None:
    for name in SHA256:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(UserError, match=r"did not have the SHA-256 .* was removed; run again"):
        fetch(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_both_ways_and_their_reasons_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as caught:
        fetch(tmp_path / "cache")
    message = str(caught.value)
    assert "torchvision's mirrors: http://127.0.0.1:9/ did not answer ([Errno 111] Connection refused)" in message
    assert "Debian: apt-get is not on this machine" in message
    assert "put the four" in message
