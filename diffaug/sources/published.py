"""The table of published classification sets, one row for each, and their files through torchvision.datasets."""

import gzip
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchvision import datasets

from diffaug.hub.downloads import time_limit
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import file_sha256
from diffaug.sources import eurosat
from diffaug.sources.debian import unpack_package
from diffaug.sources.gtsrb_names import GTSRB_NAMES

_TIMEOUT = 60  # seconds without an answer
_TRAIN, _TEST = {"train": True}, {"train": False}


def _split(name: str) -> dict[str, Any]:
    return {"split": name}


@dataclass(frozen=True)
class Row:
    """A set. train: arguments of the parts that train, val and pool (and test, if `test` is None) are drawn from;
    labels, files, names: read from a part's object without decoding; without `files` its images are arrays. ids: of
    train and test images, by number. fallback: gets the files if torchvision cannot; sha256: hashes of those files.
    urls: of the files, where torchvision lists them."""

    make: Callable[..., Any]
    train: tuple[dict[str, Any], ...]
    test: dict[str, Any] | None
    labels: Callable[[Any], Sequence[int]]
    files: Callable[[Any, int], Any] | None = None
    names: Callable[[Any], Sequence[str]] = lambda part: part.classes
    ids: tuple[str, str] | None = None
    fallback: Callable[[Path], None] | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    urls: Sequence[str] = ()


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
    "cifar10": Row(datasets.CIFAR10, (_TRAIN,), _TEST, lambda part: part.targets, urls=(datasets.CIFAR10.url,)),
    "cifar100": Row(datasets.CIFAR100, (_TRAIN,), _TEST, lambda part: part.targets, urls=(datasets.CIFAR100.url,)),
    "dtd": Row(datasets.DTD, _TRAIN_VAL, _split("test"), _private, _listed, urls=(datasets.DTD._URL,)),
    "eurosat": Row(
        eurosat.EuroSat,
        ({},),
        None,
        lambda part: part.targets,
        lambda part, index: part.samples[index][0],
        urls=(eurosat.url(),),
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
        urls=[datasets.FashionMNIST.mirrors[0] + name for name, _ in datasets.FashionMNIST.resources],
    ),
    "fgvc_aircraft": Row(
        datasets.FGVCAircraft,
        (_split("trainval"),),
        _split("test"),
        _private,
        _listed,
        urls=(datasets.FGVCAircraft._URL,),
    ),
    "flowers102": Row(
        datasets.Flowers102,
        _TRAIN_VAL,
        _split("test"),
        _private,
        _listed,
        urls=[datasets.Flowers102._download_url_prefix + name for name, _ in datasets.Flowers102._file_dict.values()],
    ),
    "food101": Row(
        datasets.Food101, (_split("train"),), _split("test"), _private, _listed, urls=(datasets.Food101._URL,)
    ),
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
        urls=[url for url, _ in datasets.OxfordIIITPet._RESOURCES],
    ),
    "stl10": Row(
        datasets.STL10, (_split("train"),), _split("test"), lambda part: part.labels, urls=(datasets.STL10.url,)
    ),
    "svhn": Row(
        datasets.SVHN,
        (_split("train"),),
        _split("test"),
        lambda part: part.labels,
        names=lambda part: [str(digit) for digit in range(10)],
        urls=[datasets.SVHN.split_list[split][0] for split in ("train", "test")],
    ),
}


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
