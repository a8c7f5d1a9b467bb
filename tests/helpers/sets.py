"""Small image sets on disk, as `filter` reads them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record, write_set
from diffaug.scoring.material import Material

NAMES = ("cat", "dog")


def noise(seed: int, side: int = 32) -> Image.Image:
    """An image different from all others."""
    coarse = np.random.default_rng(seed).integers(256, size=(8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def real(id: str, image: Image.Image, split: str, label: int | None = 0) -> Record:
    return make_record(id, encode_png(image), split, label=label)


def made(id: str, image: Image.Image, label: int | None = 0, **columns: object) -> Record:
    return make_record(id, encode_png(image), "train", label=label, origin="synthetic", **columns)


def write_material(
    root: Path,
    generated: Sequence[Record],
    train: Sequence[Record] = (),
    val: Sequence[Record] = (),
    test: Sequence[Record] = (),
    task: str = "cls",
    names: Sequence[str] = NAMES,
) -> Material:
    """The sets below `root`/data, which must be the working directory, and the object that reads them."""
    write_set(root / f"data/generated/{task}", names, generated)
    for split, records in (("train", train), ("val", val), ("test", test)):
        write_set(root / f"data/real/{task}/{split}", names, records)
    return next(iter(Material.of_draws(task, 0).values()))
