import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from diffaug.hub.seen import NOTHING_SEEN, Seen, read_seen, write_seen
from diffaug.params.download import FashionMnist
from diffaug.runtime.errors import UserError
from diffaug.sources import published as sets
from diffaug.sources.fashion_mnist import read_cls
from diffaug.sources.real import Inputs, RealData
from diffaug.sources.tasks import NOTHING

RAW = "torchvision/fashion_mnist/FashionMNIST/raw"


def idx_files() -> dict[str, bytes]:
    """200 train and 50 test images, ten classes in turn, as IDX files; the last ten train images are copies."""
    generator = np.random.default_rng(0)
    files = {}
    for part, count in (("train", 200), ("t10k", 50)):
        pixels = generator.integers(256, size=(count, 28, 28), dtype=np.uint8)
        pixels[190:200] = pixels[180:190]
        labels = np.arange(count, dtype=np.uint8) % 10
        shape = b"".join(int(side).to_bytes(4, "big") for side in (2051, count, 28, 28))
        files[f"{part}-images-idx3-ubyte"] = shape + pixels.tobytes()
        files[f"{part}-labels-idx1-ubyte"] = shape[:0] + (2049).to_bytes(4, "big") + shape[4:8] + labels.tobytes()
    return files


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The row of Fashion-MNIST with the hashes of the small files."""
    files = idx_files()
    hashes = {f"FashionMNIST/raw/{name}": hashlib.sha256(data).hexdigest() for name, data in files.items()}
    monkeypatch.setitem(sets.SETS, "fashion_mnist", replace(sets.SETS["fashion_mnist"], sha256=hashes))
    return files


@pytest.fixture
def cache(tmp_path: Path, small: dict[str, bytes]) -> Path:
    (tmp_path / RAW).mkdir(parents=True)
    for name, data in small.items():
        (tmp_path / RAW / name).write_bytes(data)
    return tmp_path


def take(
    cache: Path, train: int = 3, seed: int = 0, pool: int = 25, known: Seen = NOTHING_SEEN, **more: list[int]
) -> RealData:
    few = {"train_per_class": train, "val_per_class": 2, "test_per_class": 4, "pool": pool}
    params = FashionMnist(source="fashion_mnist", **few, **more)
    return read_cls(params, Inputs(seed, True, cache, NOTHING, known))


def test_images_that_the_generator_knows_are_not_held_out(cache: Path, tmp_path: Path) -> None:
    plain = take(cache)
    model = tmp_path / "model"
    model.mkdir()
    one, other = plain.splits["val"][0], plain.splits["test"][0]
    write_seen(model, [one.open(), other.open()])
    without = take(cache, known=read_seen(str(model)))
    assert {one.id, other.id}.isdisjoint(ids(without)["val"] + ids(without)["test"])
    assert {split: len(records) for split, records in without.splits.items()} == {
        split: len(records) for split, records in plain.splits.items()
    }


def test_near_copies_of_what_the_generator_knows_are_not_held_out(
    cache: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A drawn test image becomes the mirrored, paler copy of a train image that the generator has seen."""
    plain = take(cache)
    copied, known = plain.splits["test"][0], plain.splits["train"][0]
    pale = np.asarray(known.open())[:, ::-1] // 2 + 20
    name, place = "t10k-images-idx3-ubyte", 16 + 784 * int(copied.id.rpartition("-")[2])
    data = small[name][:place] + pale.astype(np.uint8).tobytes() + small[name][place + 784 :]
    (cache / RAW / name).write_bytes(data)
    hashes = sets.SETS["fashion_mnist"].sha256 | {f"FashionMNIST/raw/{name}": hashlib.sha256(data).hexdigest()}
    monkeypatch.setitem(sets.SETS, "fashion_mnist", replace(sets.SETS["fashion_mnist"], sha256=hashes))
    assert copied.id in ids(take(cache))["test"]
    write_seen(cache, [known.open()])
    capsys.readouterr()
    without = take(cache, known=read_seen(str(cache)))
    assert copied.id not in ids(without)["test"] and len(without.splits["test"]) == 40
    assert "download: 1 images of val and test are nearly the same as images on which" in capsys.readouterr().out
    assert ids(without)["train"] == ids(plain)["train"]


def ids(data: RealData) -> dict[str, list[str]]:
    return {split: [record.id for record in records] for split, records in data.splits.items()}


def test_splits_come_from_their_files(cache: Path) -> None:
    data = take(cache)
    assert {split: len(records) for split, records in data.splits.items()} == {
        **{"train": 30, "val": 20, "test": 40},
        "pool": 25,
    }
    assert all(record.id.startswith("fashion-t10k-0") for record in data.splits["test"])
    assert all(len(id) == len("fashion-train-00000") for id in ids(data)["train"])
    assert data.names[:2] == ("T-shirt/top", "Trouser")
    files = idx_files()
    for record in data.splits["train"]:
        number = int(record.id.rpartition("-")[2])
        assert record.label == number % 10
        start = 16 + 784 * number
        assert record.open().tobytes() == files["train-images-idx3-ubyte"][start : start + 784]
    assert ids(data) == ids(take(cache)) != ids(take(cache, seed=1))


def test_no_image_is_taken_twice(cache: Path) -> None:
    records = [record for records in take(cache, train=8, pool=90).splits.values() for record in records]
    assert len({record.open().tobytes() for record in records}) == len(records) == 40 + 20 + 80 + 90
    with pytest.raises(UserError, match="train_per_class 8 and pool 91 need more than the 200 images of fashion_mnist"):
        take(cache, train=8, pool=91)


def test_train_val_and_pool_are_of_the_numbers_that_are_asked_for(cache: Path) -> None:
    """A generator that has learned from the others has seen none of them."""
    whole = ids(take(cache, 1, pool=20))
    for first, end in ((0, 80), (80, 200), (80, 1000)):
        found = ids(take(cache, 1, pool=20, train_files=[first, end]))
        numbers = [int(id.rpartition("-")[2]) for split in ("train", "val", "pool") for id in found[split]]
        assert len(numbers) == 10 + 20 + 20 and min(numbers) >= first and max(numbers) < min(end, 200)
        assert found["test"] == whole["test"]
    with pytest.raises(UserError, match="need more than the 10 images of fashion_mnist"):
        take(cache, 1, train_files=[190, 1000])
    with pytest.raises(ValidationError, match=r"train_files \[9, 9\] must be \[first, end\]"):
        take(cache, 1, train_files=[9, 9])


def test_a_larger_training_budget_leaves_test_and_val(cache: Path) -> None:
    few, many = ids(take(cache, 3)), ids(take(cache, 5))
    assert (few["test"], few["val"]) == (many["test"], many["val"])
    assert set(few["train"]) < set(many["train"])


def test_a_changed_file_is_refused(cache: Path) -> None:
    path = cache / RAW / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    for damaged in (whole[:-1] + b"x", whole[:-9]):
        path.write_bytes(damaged)
        with pytest.raises(
            UserError,
            match=r"^download: .*train-images-idx3-ubyte does not have the SHA-256 \S+; remove \S+ and run again$",
        ):
            take(cache)
    path.unlink()
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte does not have the SHA-256"):
        take(cache)


def test_debian_brings_the_files_where_the_mirrors_do_not(
    tmp_path: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(name: str, folder: Path) -> None:
        assert name == "dataset-fashion-mnist"
        place = folder / "usr/share/datasets/fashion-mnist"
        place.mkdir(parents=True)
        for file, data in small.items():
            (place / f"{file}.gz").write_bytes(gzip.compress(data))

    monkeypatch.setattr(sets.datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setattr(sets, "unpack_package", unpack)
    assert len(take(tmp_path).splits["train"]) == 30
    assert sorted(path.name for path in (tmp_path / "torchvision").iterdir()) == ["fashion_mnist"]
    assert not list(tmp_path.rglob("*.gz"))


def test_files_that_come_damaged_are_not_kept(
    tmp_path: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(name: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        for file, data in small.items():
            (folder / f"{file}.gz").write_bytes(gzip.compress(data + b"x"))

    monkeypatch.setattr(sets.datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setattr(sets, "unpack_package", unpack)
    with pytest.raises(
        UserError, match=r"^download: \S+ does not have the SHA-256 \S+; they were not kept; run again$"
    ):
        take(tmp_path)
    assert not (tmp_path / "torchvision/fashion_mnist").exists()


def test_both_ways_and_their_reasons_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets.datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as caught:
        take(tmp_path / "cache")
    message = str(caught.value)
    assert "http://127.0.0.1:9/" in message and "Connection refused" in message
    assert "apt-get is not on this machine" in message
    assert "put its files in torchvision's layout into" in message and "\n" not in message
