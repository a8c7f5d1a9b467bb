"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747) from torchvision's mirrors or from Debian's package."""

import gzip
import hashlib
import http.client
import shutil
import subprocess
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.datasets import FashionMNIST

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.params.download import FashionMnist
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path
from diffaug.sources.real import RealData

DEBIAN_PACKAGE = "dataset-fashion-mnist"
# SHA-256 of the uncompressed IDX bytes: Debian compresses the files anew.
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
_TIMEOUT = 15  # seconds without an answer


def fashion_mnist(params: FashionMnist, seed: int, cache: Path) -> RealData:
    """A few-shot draw: train, val and the pool from the 60,000 training images, test from the 10,000 test images.

    Images that occur twice (the set has some) are used once. Raises UserError where the files cannot be had, or hold
    fewer images than asked for.
    """
    files = fetch(cache / "fashion_mnist")
    names = tuple(FashionMNIST.classes)
    generator = np.random.default_rng(seed)
    seen: set[bytes] = set()
    splits: dict[str, tuple[Record, ...]] = {}
    test_images, test_labels = _idx(files["t10k-images-idx3-ubyte"], 16), _idx(files["t10k-labels-idx1-ubyte"], 8)
    images, labels = _idx(files["train-images-idx3-ubyte"], 16), _idx(files["train-labels-idx1-ubyte"], 8)
    # Test is drawn first, so that a change of the training budget leaves it as it is.
    tests = _draw(test_images, test_labels, {"test": params.test_per_class}, 0, generator, seen)
    wanted = {"val": params.val_per_class, "train": params.train_per_class}
    drawn = _draw(images, labels, wanted, params.pool, generator, seen)
    for source, part, pixels, classes in [("t10k", tests, test_images, test_labels), ("train", drawn, images, labels)]:
        for split, indices in part.items():
            splits[split] = tuple(
                make_record(
                    f"fashion-{source}-{index:05d}",
                    encode_png(Image.fromarray(pixels[index])),
                    split,
                    label=int(classes[index]),
                )
                for index in indices
            )
    return RealData(names, splits)


def _draw(
    images: np.ndarray,
    labels: np.ndarray,
    per_class: dict[str, int],
    pool: int,
    generator: np.random.Generator,
    seen: set[bytes],
) -> dict[str, list[int]]:
    """Indices by split: so many of each class, then `pool` of what is left, whatever its class."""
    drawn: dict[str, list[int]] = {split: [] for split in per_class}
    rest: list[int] = []
    need = {(split, label): count for split, count in per_class.items() for label in range(10)}
    for index in generator.permutation(len(images)).tolist():
        pixels = images[index].tobytes()
        if pixels in seen:
            continue
        seen.add(pixels)
        label = int(labels[index])
        split = next((split for split in per_class if need[split, label] > 0), None)
        if split is None:
            rest.append(index)
        else:
            need[split, label] -= 1
            drawn[split].append(index)
    short = {key: count for key, count in need.items() if count > 0}
    if short or len(rest) < pool:
        asked = ", ".join(f"{split}_per_class {count}" for split, count in per_class.items())
        raise UserError(
            f"download.cls: {asked} and pool {pool} are more than the {len(images)} images of Fashion-MNIST give; "
            "lower them"
        )
    return drawn | ({"pool": rest[:pool]} if pool else {})


def _idx(data: bytes, header: int) -> np.ndarray:
    values = np.frombuffer(data, dtype=np.uint8, offset=header)
    return values.reshape(-1, 28, 28) if header == 16 else values


def fetch(cache: Path) -> dict[str, bytes]:
    """The four uncompressed IDX files, from the cache, torchvision's mirrors or Debian's package, in this order.

    Every file is checked by its SHA-256. Raises UserError that says why each way failed.
    """
    files = _cached(cache)
    ways: list[tuple[str, Callable[[Path], None]]] = [
        ("torchvision's mirrors", _from_mirrors),
        ("Debian", _from_debian),
    ]
    failures = []
    for way, get in ways:
        if files:
            break
        try:
            get(cache)
            files = _cached(cache)
        except (OSError, subprocess.SubprocessError, UserError) as error:
            failures.append(f"{way}: {error}")
    if not files:
        raise UserError(
            f"download: Fashion-MNIST cannot be had. {'; '.join(failures)}. Connect to the internet, or put the four "
            f"{', '.join(sorted(SHA256))} .gz files into {cache}"
        )
    return files


def _cached(cache: Path) -> dict[str, bytes]:
    files = {}
    for name, expected in SHA256.items():
        path = cache / f"{name}.gz"
        if not path.exists():
            return {}
        try:
            data = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error):
            data = b""
        if hashlib.sha256(data).hexdigest() != expected:
            path.unlink()
            raise UserError(f"{path.name} did not have the SHA-256 {expected[:12]}... and was removed; run again")
        files[name] = data
    return files


def _from_mirrors(cache: Path) -> None:
    reasons = []
    for mirror in FashionMNIST.mirrors:
        try:
            for name in SHA256:
                with urllib.request.urlopen(f"{mirror}{name}.gz", timeout=_TIMEOUT) as answer:
                    _keep(cache / f"{name}.gz", answer.read())
            return
        except (OSError, ValueError, http.client.HTTPException) as error:
            reasons.append(f"{mirror} did not answer ({getattr(error, 'reason', error)})")
    raise UserError(", ".join(reasons))


def _from_debian(cache: Path) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise UserError(f"{tool} is not on this machine (it comes with Debian and Ubuntu)")
    folder = (cache / "debian").resolve()
    for part in ("lists/partial", "archives/partial", "unpacked"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    # Lists and archives of our own: no root is needed, and the machine's own are left alone.
    own = [
        "-q",
        "-o",
        f"Dir::State::Lists={folder / 'lists'}",
        "-o",
        f"Dir::Cache={folder}",
        "-o",
        "APT::Sandbox::User=",
    ]
    for command in (
        ["apt-get", *own, "update"],
        ["apt-get", *own, "download", DEBIAN_PACKAGE],
        ["dpkg-deb", "-x", "PACKAGE", str(folder / "unpacked")],
    ):
        if command[0] == "dpkg-deb":
            command[2] = next(path.name for path in sorted(folder.glob(f"{DEBIAN_PACKAGE}_*.deb")))
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            reason = [line for line in done.stderr.splitlines() if line.startswith(("E:", "dpkg"))]
            raise UserError(f"{' '.join([command[0], *command[-2:]])} failed ({(reason or ['no reason given'])[-1]})")
    for path in sorted((folder / "unpacked").rglob("*-ubyte.gz")):
        _keep(cache / path.name, path.read_bytes())
    shutil.rmtree(folder)


def _keep(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
