import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from diffaug.params.download import FashionMnist
from diffaug.runtime.errors import UserError
from diffaug.sources import fashion_mnist as source


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """200 train and 50 test images as IDX files, whose hashes stand for the real ones."""
    folder = tmp_path / "fashion_mnist"
    folder.mkdir()
    generator = np.random.default_rng(0)
    hashes = {}
    for part, count in (("train", 200), ("t10k", 50)):
        pixels = generator.integers(256, size=(count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        for name, data in (("images-idx3", bytes(16) + pixels.tobytes()), ("labels-idx1", bytes(8) + labels.tobytes())):
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(data))
            hashes[f"{part}-{name}-ubyte"] = hashlib.sha256(data).hexdigest()
    monkeypatch.setattr(source, "SHA256", hashes)
    return tmp_path


def draw(cache: Path, train: int = 3, seed: int = 0) -> dict[str, list[str]]:
    params = FashionMnist(source="fashion_mnist", train_per_class=train, val_per_class=2, test_per_class=4, pool=25)
    data = source.fashion_mnist(params, seed, cache)
    return {split: [record.id for record in records] for split, records in data.splits.items()}


def test_splits_come_from_their_files(cache: Path) -> None:
    drawn = draw(cache)
    assert {split: len(ids) for split, ids in drawn.items()} == {"test": 40, "val": 20, "train": 30, "pool": 25}
    assert all(id.startswith("fashion-t10k-") for id in drawn["test"])
    assert all(id.startswith("fashion-train-") for split in ("train", "val", "pool") for id in drawn[split])
    assert drawn == draw(cache)
    assert drawn != draw(cache, seed=1)


def test_a_larger_training_budget_leaves_test_and_val(cache: Path) -> None:
    few, many = draw(cache, 3), draw(cache, 5)
    assert (few["test"], few["val"]) == (many["test"], many["val"])
    assert set(few["train"]) < set(many["train"])


def test_a_file_whose_compressed_bytes_are_damaged_is_removed(cache: Path) -> None:
    path = cache / "fashion_mnist" / "train-images-idx3-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[10:40] = b"\xff" * 30  # the header is whole, the deflate stream is not
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz did not have the SHA-256 .* was removed"):
        source.fetch(cache / "fashion_mnist")
    assert not path.exists()


def test_a_cut_file_is_removed(cache: Path) -> None:
    path = cache / "fashion_mnist" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte\.gz did not have the SHA-256"):
        source.fetch(cache / "fashion_mnist")
    assert not path.exists()
