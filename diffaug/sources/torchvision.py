"""Published classification sets through torchvision.datasets: one row of the table for each."""

import gzip
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torchvision import datasets

from diffaug.dataset.codec import decode, encode_png, read_file
from diffaug.dataset.records import SPLITS, Record, make_record
from diffaug.hub.downloads import time_limit
from diffaug.hub.seen import Seen
from diffaug.params.download import FewShot, Torchvision
from diffaug.pictures.hashing import pixel_hash
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import file_sha256
from diffaug.sources.debian import unpack_package
from diffaug.sources.gtsrb_names import GTSRB_NAMES
from diffaug.sources.real import HELD_OUT, Inputs, RealData

_TIMEOUT = 60  # seconds without an answer
_TRAIN, _TEST = {"train": True}, {"train": False}


def _split(name: str) -> dict[str, Any]:
    return {"split": name}


@dataclass(frozen=True)
class Row:
    """A set. train: arguments of the parts that train, val and pool (and test, if `test` is None) are drawn from;
    labels, files, names: read from a part's object without decoding; without `files` its images are arrays. ids: of
    train and test images, by number. fallback: gets the files if torchvision cannot; sha256: hashes of those files."""

    make: Callable[..., Any]
    train: tuple[dict[str, Any], ...]
    test: dict[str, Any] | None
    labels: Callable[[Any], Sequence[int]]
    files: Callable[[Any, int], Any] | None = None
    names: Callable[[Any], Sequence[str]] = lambda part: part.classes
    ids: tuple[str, str] | None = None
    fallback: Callable[[Path], None] | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)


def _private(part: Any) -> Sequence[int]:
    return part._labels


def _listed(part: Any, index: int) -> Any:
    return part._image_files[index]


def _caltech_file(part: Any, index: int) -> Path:
    category, number = part.categories[part.y[index]], part.index[index]
    return Path(part.root) / "101_ObjectCategories" / category / f"image_{number:04d}.jpg"


def _fashion_from_debian(root: Path) -> None:
    raw, unpacked = root / "FashionMNIST/raw", root / "debian"
    unpack_package("dataset-fashion-mnist", unpacked)
    raw.mkdir(parents=True, exist_ok=True)
    for path in sorted(unpacked.rglob("*-ubyte.gz")):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    shutil.rmtree(unpacked)


_TRAIN_VAL = (_split("train"), _split("val"))
SETS = {
    "caltech101": Row(
        datasets.Caltech101, ({},), None, lambda part: part.y, _caltech_file, lambda part: part.categories
    ),
    "cifar10": Row(datasets.CIFAR10, (_TRAIN,), _TEST, lambda part: part.targets),
    "cifar100": Row(datasets.CIFAR100, (_TRAIN,), _TEST, lambda part: part.targets),
    "dtd": Row(datasets.DTD, _TRAIN_VAL, _split("test"), _private, _listed),
    "eurosat": Row(
        datasets.EuroSAT, ({},), None, lambda part: part.targets, lambda part, index: part.samples[index][0]
    ),
    "fashion_mnist": Row(
        datasets.FashionMNIST,
        (_TRAIN,),
        _TEST,
        lambda part: part.targets.tolist(),
        ids=("fashion-train-{:05d}", "fashion-t10k-{:05d}"),
        fallback=_fashion_from_debian,
        # Hashes of the unpacked files, since Debian compresses them again.
        sha256={
            f"FashionMNIST/raw/{name}-ubyte": sha256
            for name, sha256 in {
                "train-images-idx3": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "train-labels-idx1": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "t10k-images-idx3": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "t10k-labels-idx1": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            }.items()
        },
    ),
    "fgvc_aircraft": Row(datasets.FGVCAircraft, (_split("trainval"),), _split("test"), _private, _listed),
    "flowers102": Row(datasets.Flowers102, _TRAIN_VAL, _split("test"), _private, _listed),
    "food101": Row(datasets.Food101, (_split("train"),), _split("test"), _private, _listed),
    "gtsrb": Row(
        datasets.GTSRB,
        (_split("train"),),
        _split("test"),
        lambda part: [label for _, label in part._samples],
        lambda part, index: part._samples[index][0],
        lambda part: GTSRB_NAMES,
    ),
    "oxford_iiit_pet": Row(
        datasets.OxfordIIITPet,
        (_split("trainval"),),
        _split("test"),
        _private,
        lambda part, index: part._images[index],
    ),
    "stl10": Row(datasets.STL10, (_split("train"),), _split("test"), lambda part: part.labels),
    "svhn": Row(
        datasets.SVHN,
        (_split("train"),),
        _split("test"),
        lambda part: part.labels,
        names=lambda part: [str(digit) for digit in range(10)],
    ),
}


def read_cls(source: Torchvision, inputs: Inputs) -> RealData:
    """A few images per class of the set that the params name."""
    return few_shot(source, source.name, inputs)


def few_shot(params: FewShot, name: str, inputs: Inputs) -> RealData:
    """Test from the official test images if the set has them; train, val and pool from the others.

    Only images that may be chosen are opened. Images that occur twice are used once, and those that the generator knows
    come neither into val nor into test. Raises UserError if the files cannot be downloaded, or have fewer images than
    asked for.
    """
    row = SETS[name]
    if params.train_files is not None and row.test is None:
        raise UserError(f"download.cls.train_files: {name} has no test images of its own; leave it out")
    trains, test = open_parts(row, name, inputs.work)
    generator = np.random.default_rng(inputs.seed)
    seen: set[str] = set()
    # Test is drawn first, so that a change of the number of train images does not change it.
    held = {"test": params.test_per_class}
    rest = {"val": params.val_per_class, "train": params.train_per_class}
    names = tuple(map(str, row.names(trains[0])))
    train_ids, test_ids = row.ids or (f"{name}-train-{{:06d}}", f"{name}-test-{{:06d}}")
    choices: list[tuple[list[Any], dict[str, int], int, str, list[int] | None]]
    if test is None:
        choices = [(trains, held | rest, params.pool, f"{name}-all-{{:06d}}", None)]
    else:
        choices = [([test], held, 0, test_ids, None), (trains, rest, params.pool, train_ids, params.train_files)]
    splits: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for parts, wanted, pool, ids, numbers in choices:
        splits |= _Choice(row, name, parts, ids, len(names), seen, inputs.known, numbers).take(wanted, pool, generator)
    return RealData(names, {split: tuple(records) for split, records in splits.items()})


def open_parts(row: Row, name: str, cache: Path) -> tuple[list[Any], Any]:
    """The objects of torchvision for train and test (or None), downloaded if missing; complete or not at all.

    Raises UserError if they cannot be downloaded, or are damaged.
    """
    root, partial = cache / "torchvision" / name, cache / "torchvision" / f"{name}.partial"
    arguments = [*row.train, *([] if row.test is None else [row.test])]
    try:
        if not root.exists():
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            _fetch(row, arguments, partial)
            _check(row, partial, "they were not kept; run again")
            partial.replace(root)
        _check(row, root, f"remove {root} and run again")
        opened = [row.make(root, download=False, **each) for each in arguments]
    except _Damaged:
        raise
    except Exception as error:  # torchvision passes on all errors of its readers
        raise UserError(
            f"download: {name} cannot be loaded through torchvision ({_one_line(error)}); connect to the internet, or "
            f"put its files in torchvision's layout into {root}, or remove that folder if it is damaged"
        ) from None
    return opened[: len(row.train)], opened[len(row.train)] if row.test is not None else None


class _Damaged(UserError):
    """A file whose hash is not the expected one."""


def _check(row: Row, folder: Path, advice: str) -> None:
    for file, sha256 in row.sha256.items():
        path = folder / file
        if not path.exists() or file_sha256(path) != sha256:
            raise _Damaged(f"download: {path} does not have the SHA-256 {sha256[:12]}...; {advice}")


def _fetch(row: Row, arguments: Sequence[dict[str, Any]], folder: Path) -> None:
    try:
        with time_limit(_TIMEOUT):
            for each in arguments:
                row.make(folder, download=True, **each)
    except Exception as error:
        if row.fallback is None:
            raise
        try:
            row.fallback(folder)
        except UserError as second:
            raise UserError(f"{_one_line(error)}; {second}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@dataclass(frozen=True)
class _Choice:
    row: Row
    name: str
    parts: Sequence[Any]
    ids: str
    classes: int
    seen: set[str]
    known: Seen
    numbers: Sequence[int] | None  # the first and the end of those that may be drawn

    def take(self, wanted: dict[str, int], pool: int, generator: np.random.Generator) -> dict[str, list[Record]]:
        """The wanted number of images per class by split, then `pool` of the rest, of any class."""
        places = [(part, index, int(label)) for part in self.parts for index, label in enumerate(self.row.labels(part))]
        first, end = self.numbers or (0, len(places))
        end = min(end, len(places))
        need = {(split, label): count for split, count in wanted.items() for label in range(self.classes)}
        taken: dict[str, list[Record]] = {split: [] for split in [*wanted, *(["pool"] if pool else [])]}
        for number in (first + generator.permutation(max(0, end - first))).tolist():
            part, index, label = places[number]
            split = next((split for split in wanted if need[split, label] > 0), "pool")
            if split == "pool" and len(taken.get("pool", ())) >= pool:
                continue
            data = self._bytes(part, index)
            pixels = pixel_hash(decode(data, self.name))
            if pixels in self.seen or (split in HELD_OUT and pixels in self.known):
                continue
            self.seen.add(pixels)
            taken[split].append(make_record(self.ids.format(number), data, split, label=label))
            if split != "pool":
                need[split, label] -= 1
        self._enough(need, wanted, pool, taken, max(0, end - first))
        return taken

    def _bytes(self, part: Any, index: int) -> bytes:
        if self.row.files is not None:
            return read_file(Path(self.row.files(part, index)))
        return encode_png(part[index][0])

    def _enough(
        self,
        need: dict[tuple[str, int], int],
        wanted: dict[str, int],
        pool: int,
        taken: dict[str, list[Record]],
        there: int,
    ) -> None:
        if any(need.values()) or len(taken.get("pool", ())) < pool:
            asked = ", ".join(f"{split}_per_class {count}" for split, count in wanted.items())
            raise UserError(
                f"download.cls: {asked} and pool {pool} need more than the {there} images of {self.name}; lower them"
            )
