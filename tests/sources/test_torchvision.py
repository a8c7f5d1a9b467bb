import pickle
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from diffaug.params.download import Torchvision
from diffaug.runtime.errors import UserError
from diffaug.sources import torchvision as torchvision_sets
from diffaug.sources.published import SETS
from diffaug.sources.real import Inputs, RealData, check_classes, check_disjoint
from diffaug.sources.tasks import NOTHING
from diffaug.sources.torchvision import read_cls

NAMES = ["airplane", "bird", "cat"]


def draw(name: str, cache: Path, pool: int = 0, seed: int = 0, train: int = 3) -> RealData:
    few = {"train_per_class": train, "val_per_class": 1, "test_per_class": 2, "pool": pool}
    return read_cls(Torchvision(source="torchvision", name=name, **few), Inputs(seed, True, cache, NOTHING))


def sizes(data: RealData) -> dict[str, int]:
    return {split: len(records) for split, records in data.splits.items()}


def save(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(256, size=(8, 9, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10's pickled batches of 30 images each, three of them twice; their hashes are not checked."""
    folder = tmp_path / "torchvision/cifar10/cifar-10-batches-py"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name, _ in [*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list]:
        data = generator.integers(256, size=(30, 3072), dtype=np.uint8)
        data[3:6] = data[0:3]
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": [number % 3 for number in range(30)]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": NAMES}))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5: True)
    return tmp_path


@pytest.fixture
def eurosat(tmp_path: Path) -> Path:
    """EuroSAT as an ImageFolder of 12 JPEGs per class; it has no official test images."""
    for label, name in enumerate(["Forest", "River"]):
        for number in range(12):
            save(tmp_path / f"torchvision/eurosat/eurosat/2750/{name}/{name}_{number}.jpg", 100 * label + number)
    return tmp_path


@pytest.fixture
def dtd(tmp_path: Path) -> Path:
    """DTD with official train, val and test lists, four images per class each."""
    root = tmp_path / "torchvision/dtd/dtd/dtd"
    (root / "labels").mkdir(parents=True)
    for part, split in enumerate(["train", "val", "test"]):
        lines = []
        for label, name in enumerate(["banded", "woven"]):
            for number in range(4):
                lines.append(f"{name}/{split}_{number}.jpg")
                save(root / "images" / lines[-1], 1000 * part + 100 * label + number)
        (root / "labels" / f"{split}1.txt").write_text("\n".join(lines))
    return tmp_path


def test_the_table_has_the_names_of_the_params() -> None:
    named = get_args(Torchvision.model_fields["name"].annotation)
    assert tuple(sorted(SETS.keys() - {"fashion_mnist"})) == named  # it has its own source


def test_cifar10(cifar: Path) -> None:
    data = draw("cifar10", cifar, pool=40)
    assert data.names == tuple(NAMES)
    assert sizes(data) == {"train": 9, "val": 3, "test": 6, "pool": 40}
    assert all(record.id.startswith("cifar10-test-") for record in data.splits["test"])
    check_classes(data, "here")
    check_disjoint(data.splits.items())
    part = datasets.CIFAR10(cifar / "torchvision/cifar10")
    for record in data.splits["train"]:
        index = int(record.id.rpartition("-")[2])
        assert (part.targets[index], record.open().tobytes()) == (record.label, part[index][0].tobytes())


def test_a_larger_training_budget_leaves_test_and_val(cifar: Path) -> None:
    few, many = draw("cifar10", cifar), draw("cifar10", cifar, train=5)
    assert (few.splits["test"], few.splits["val"]) == (many.splits["test"], many.splits["val"])
    assert {record.id for record in few.splits["train"]} < {record.id for record in many.splits["train"]}
    assert few == draw("cifar10", cifar)
    assert few != draw("cifar10", cifar, seed=1)


def test_eurosat_draws_all_splits_and_keeps_the_bytes(eurosat: Path) -> None:
    data = draw("eurosat", eurosat, pool=5)
    assert (data.names, sizes(data)) == (("Forest", "River"), {"train": 6, "val": 2, "test": 4, "pool": 5})
    check_disjoint(data.splits.items())
    files = {path.read_bytes() for path in eurosat.rglob("*.jpg")}
    assert all(record.image in files for records in data.splits.values() for record in records)


def test_only_what_may_be_chosen_is_opened(eurosat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    read = torchvision_sets.read_file
    monkeypatch.setattr(torchvision_sets, "read_file", lambda path: opened.append(path) or read(path))
    draw("eurosat", eurosat)
    assert len(opened) == 12


def test_dtd_keeps_the_official_test(dtd: Path) -> None:
    data = draw("dtd", dtd)
    assert (data.names, sizes(data)) == (("banded", "woven"), {"train": 6, "val": 2, "test": 4})
    tests = {path.read_bytes() for path in dtd.rglob("test_*.jpg")}
    for split, records in data.splits.items():
        assert all((record.image in tests) == (split == "test") for record in records)


def test_more_than_there_are_is_refused(dtd: Path) -> None:
    with pytest.raises(UserError, match=r"val_per_class 1, train_per_class 8 and pool 0 need more than the 16 images"):
        draw("dtd", dtd, train=8)


def test_what_cannot_be_had_is_one_line_and_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    with pytest.raises(UserError, match=r"cifar10 cannot be loaded through torchvision \(.*\); connect") as caught:
        draw("cifar10", tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "torchvision/cifar10").exists()
