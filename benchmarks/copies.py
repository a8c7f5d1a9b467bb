"""How many changed copies of held-out images each gate of the filter finds at its default threshold (`auto`), and how
many other real images it accuses.

Three sets: CIFAR-10 (a zip of TRAIN_OR_TEST/CLASS/*.jpg), Fashion-MNIST (the folder of its four files), and a folder of
photographs. The thresholds come from real train images that are neither held out nor among the others. One thread.

python benchmarks/copies.py --cifar FILE.zip --fashion FOLDER --photographs FOLDER [--images 300]
"""

import argparse
import gzip
import io
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.scoring import correlation, hash
from diffaug.scoring.neighbours import nearest
from diffaug.scoring.thresholds import threshold

GATES = (hash, correlation)
_TIMES = 3  # so many held-out images, and train images for the thresholds, per copy


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=75)
    return Image.open(buffer).convert(image.mode)


def shifted(image: Image.Image) -> Image.Image:
    """By one pixel to the right; the left column occurs twice."""
    pixels = np.asarray(image)
    return Image.fromarray(np.concatenate([pixels[:, :1], pixels[:, :-1]], axis=1))


def turned(image: Image.Image) -> Image.Image:
    """By 3 degrees; the corners are black."""
    return image.rotate(3, Image.Resampling.BICUBIC)


def cropped(image: Image.Image) -> Image.Image:
    """By 5 % of the side at each border, and enlarged."""
    width, height = image.size
    box = (0.05 * width, 0.05 * height, 0.95 * width, 0.95 * height)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=box)


def noisy(image: Image.Image) -> Image.Image:
    """Four fifths of the image and one fifth of uniform noise."""
    pixels = np.asarray(image, dtype=np.float64)
    noise = np.random.default_rng(int(pixels.sum())).integers(256, size=pixels.shape)
    return Image.fromarray((0.8 * pixels + 0.2 * noise).round().astype(np.uint8))


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 75": jpeg,
    "shifted by 1 pixel": shifted,
    "mirrored": ImageOps.mirror,
    "turned by 3 degrees": turned,
    "cropped by 5 %": cropped,
    "blended with 20 % noise": noisy,
    "brighter by 10 %": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "20 % less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "shifted, mirrored, JPEG": lambda image: jpeg(ImageOps.mirror(shifted(image))),
}


def cifar(path: Path, count: int) -> tuple[list[Image.Image], list[Image.Image]]:
    """Held-out images, and other ones."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        of_split = ([name for name in names if name.startswith(split)] for split in ("test/", "train/"))
        chosen = [_evenly(some, most) for some, most in zip(of_split, _counts(count))]
        held, others = ([_open(io.BytesIO(archive.read(name))) for name in some] for some in chosen)
    return held, others


def fashion(folder: Path, count: int) -> tuple[list[Image.Image], list[Image.Image]]:
    """Held-out images, and other ones."""
    files = [gzip.decompress((folder / f"{name}-images-idx3-ubyte.gz").read_bytes()) for name in ("t10k", "train")]
    stacks = [np.frombuffer(file, np.uint8, offset=16).reshape(-1, 28, 28) for file in files]
    held, others = ([Image.fromarray(one) for one in some[:most]] for some, most in zip(stacks, _counts(count)))
    return held, others


def photographs(folder: Path, count: int) -> tuple[list[Image.Image], list[Image.Image]]:
    """A quarter of them, and the other ones."""
    opened = [_open(path) for path in _evenly(sorted(folder.iterdir()), 4 * count)]
    return opened[::4], [image for place, image in enumerate(opened) if place % 4]


def _counts(count: int) -> tuple[int, int]:
    return _TIMES * count, (_TIMES + 1) * count


def _evenly(some: Sequence[str] | Sequence[Path], most: int) -> list:
    return list(some[:: max(1, len(some) // most)][:most])


def _open(file: Path | io.BytesIO) -> Image.Image:
    return Image.open(file).convert("RGB")


def records(images: Sequence[Image.Image], prefix: str) -> list[Record]:
    return [make_record(f"{prefix}{number}", encode_png(image), "train") for number, image in enumerate(images)]


def rows(held: Sequence[Image.Image], others: Sequence[Image.Image], count: int) -> Iterator[list[str]]:
    """A row by kind of copy, and one of other real images: the shares that each gate, and any gate, rejects."""
    known = records(held, "held")
    accused, train = records(others[::4], "other"), records([one for n, one in enumerate(others) if n % 4], "train")
    originals = _evenly(range(len(held)), count)
    sets = {name: records([change(held[one]) for one in originals], "copy") for name, change in KINDS.items()}
    sets["other real images"] = accused[:count]
    bounds = []
    for gate in GATES:
        values = nearest(gate.between([*train, *known]), train, known).tolist()
        bounds.append(threshold(values, gate.AUTO["min_heldout"]))
    yield ["threshold", *(f"{bound:.3g}" for bound in bounds), ""]
    for name, some in sets.items():
        near = [nearest(gate.between([*some, *known]), some, known) < bound for gate, bound in zip(GATES, bounds)]
        yield [name, *(f"{one.mean():.2f}" for one in (*near, np.any(near, axis=0)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    readers = {"cifar": cifar, "fashion": fashion, "photographs": photographs}
    for name in readers:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--images", type=int, default=300)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    for name, reader in readers.items():
        start = time.perf_counter()
        held, others = reader(getattr(asked, name), asked.images)
        names = [gate.__name__.rpartition(".")[2] for gate in GATES]
        print(f"{name}: {len(held)} held out\n| copies | {' | '.join(names)} | any |\n|---|{'---|' * (len(names) + 1)}")
        for row in rows(held, others, asked.images):
            print(f"| {' | '.join(row)} |", flush=True)
        print(f"{time.perf_counter() - start:.0f} seconds\n")


if __name__ == "__main__":
    main()
