"""Compares every row of the table with torchvision's own reading of its own layout on disk."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from diffaug.dataset.codec import decode, read_file
from diffaug.sources.published import SETS, open_parts

RNG = np.random.default_rng(0)
KINDS = ("alpha", "beta")


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(256, size=shape, dtype=np.uint8)


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(8, 9, 3)).save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def caltech101(root: Path) -> None:
    for kind in ("BACKGROUND_Google", *KINDS):
        for number in (1, 2, 3):
            save(root / f"caltech101/101_ObjectCategories/{kind}/image_{number:04d}.jpg")


def cifar100(root: Path) -> None:
    folder = root / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / name).write_bytes(pickle.dumps({"data": noise(6, 3072), "fine_labels": [0, 1] * 3}))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": list(KINDS)}))


def fgvc_aircraft(root: Path) -> None:
    data = root / "fgvc-aircraft-2013b/data"
    write(data / "variants.txt", "alpha\nbeta\n")
    for split in ("trainval", "test"):
        lines = [f"{split}{number} {KINDS[number % 2]}" for number in range(4)]
        write(data / f"images_variant_{split}.txt", "\n".join(lines) + "\n")
        for line in lines:
            save(data / "images" / f"{line.split()[0]}.jpg")


def flowers102(root: Path) -> None:
    for number in range(1, 10):
        save(root / f"flowers-102/jpg/image_{number:05d}.jpg")
    scipy.io.savemat(root / "flowers-102/imagelabels.mat", {"labels": np.arange(1, 10)})
    ids = {"trnid": [1, 4, 7], "valid": [2, 5, 8], "tstid": [3, 6, 9]}
    scipy.io.savemat(root / "flowers-102/setid.mat", ids)


def food101(root: Path) -> None:
    for split in ("train", "test"):
        names = {kind: [f"{kind}/{split}{number}" for number in range(3)] for kind in KINDS}
        write(root / f"food-101/meta/{split}.json", json.dumps(names))
        for name in [name for listed in names.values() for name in listed]:
            save(root / f"food-101/images/{name}.jpg")


def gtsrb(root: Path) -> None:
    for label in (0, 1):
        for number in range(3):
            save(root / f"gtsrb/GTSRB/Training/{label:05d}/{number:05d}.ppm")
    rows = ["Filename;ClassId"] + [f"{number:05d}.ppm;{number * 14}" for number in range(4)]
    write(root / "gtsrb/GT-final_test.csv", "\n".join(rows))
    for number in range(4):
        save(root / f"gtsrb/GTSRB/Final_Test/Images/{number:05d}.ppm")


def oxford_iiit_pet(root: Path) -> None:
    folder = root / "oxford-iiit-pet"
    for split in ("trainval", "test"):
        lines = [f"{KINDS[number % 2]}_{split}{number} {number % 2 + 1} 1 1" for number in range(4)]
        write(folder / f"annotations/{split}.txt", "\n".join(lines) + "\n")
        for line in lines:
            save(folder / f"images/{line.split()[0]}.jpg")


def stl10(root: Path) -> None:
    folder = root / "stl10_binary"
    folder.mkdir()
    for split in ("train", "test"):
        noise(4, 3, 96, 96).tofile(folder / f"{split}_X.bin")
        np.array([1, 2, 1, 2], dtype=np.uint8).tofile(folder / f"{split}_y.bin")
    write(folder / "class_names.txt", "alpha\nbeta\n")


def svhn(root: Path) -> None:
    for split in ("train", "test"):
        content = {"X": noise(32, 32, 3, 4), "y": np.array([[1], [10], [3], [9]])}
        scipy.io.savemat(root / f"{split}_32x32.mat", content)


WRITERS: dict[str, Callable[[Path], None]] = {
    function.__name__: function
    for function in (
        caltech101,
        cifar100,
        fgvc_aircraft,
        flowers102,
        food101,
        gtsrb,
        oxford_iiit_pet,
        stl10,
        svhn,
    )
}


def test_no_row_is_forgotten() -> None:
    elsewhere = {"cifar10", "dtd", "eurosat", "fashion_mnist"}  # test_torchvision.py, test_fashion_mnist.py
    assert WRITERS.keys() | elsewhere == SETS.keys()


@pytest.mark.parametrize("name", WRITERS)
def test_labels_files_and_names_are_torchvisions(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cifar", "flowers102", "stl10", "svhn"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.check_integrity", lambda *_: True)
    root = tmp_path / "torchvision" / name
    root.mkdir(parents=True)
    WRITERS[name](root)
    row = SETS[name]
    trains, test = open_parts(row, name, tmp_path)
    assert (test is None) == (name == "caltech101")
    names = row.names(trains[0])
    assert len(set(names)) == len(names) >= 2
    for part in [*trains, *([] if test is None else [test])]:
        assert len(row.labels(part)) == len(part) >= 3
        for index in range(len(part)):
            image, label = part[index]
            assert row.labels(part)[index] == label
            assert 0 <= label < len(names)
            if row.files is not None:
                kept = decode(read_file(Path(row.files(part, index))), name)
                assert np.array_equal(np.asarray(kept), np.asarray(image))
