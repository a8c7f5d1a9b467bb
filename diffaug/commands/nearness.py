"""How near a user's train images are to the held-out ones, and the thresholds of the filter that follow from it."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from diffaug.dataset.records import ImageSet, Record
from diffaug.scoring.material import Material
from diffaug.scoring.scores import score_module
from diffaug.scoring.thresholds import threshold
from diffaug.sources.real import RealData

_TRAIN = 200  # train images that are looked at, at most, evenly taken
_SIDE = 256  # pixels; larger photographs are reduced first, which hardly changes these numbers


@dataclass(frozen=True)
class Score:
    """What train images have of a score. usual: the median; low: what 99 of 100 have or exceed; most: the largest value
    that a threshold of `auto` can have."""

    usual: float
    low: float
    most: float

    @property
    def as_copies(self) -> bool:
        """Whether real images are as near as copies."""
        return self.low < self.most

    @property
    def fitted(self) -> float:
        """What `auto` makes of it."""
        return min(self.low, self.most)


@dataclass(frozen=True)
class Nearness:
    """std: standard deviation of the grey levels, 0 to 127.5; hash, correlation: distances to the nearest val or test
    image, in bits (0 to 64) and as 1 - r (0 to 2)."""

    std: Score
    hash: Score
    correlation: Score

    def describe(self) -> str:
        """One part of a line."""
        return (
            f"from a train image to the nearest val or test image usually {self.hash.usual:.0f} of 64 bits of the "
            f"hash, correlation distance {self.correlation.usual:.2f}"
        )


def nearness(task: str, data: RealData) -> Nearness:
    """Look at up to 200 train images and all of val and test, as `filter` will."""
    train = data.splits["train"]
    looked = train[:: max(1, -(-len(train) // _TRAIN))]
    chosen = {"train": looked, "val": data.splits["val"], "test": data.splits["test"]}
    total = sum(map(len, chosen.values()))
    with tqdm(desc=f"start: {task}: distances", total=total, unit="image", mininterval=1.0, leave=False) as bar:
        small = {split: ImageSet(data.names, _reduced(records, bar)) for split, records in chosen.items()}
    material = Material(task, 0, "val_and_test", small, ImageSet(data.names, ()))
    return Nearness(
        _score("degenerate", "min_std", material),
        _score("hash", "min_heldout", material),
        _score("correlation", "min_heldout", material),
    )


def thresholds(task: str, one: Nearness) -> dict[str, tuple[dict[str, Any], str]]:
    """By section of `filter.cls` or `filter.det`: its values, and their reason."""
    said = "what 99 of 100 of your train images keep"
    near = {
        name: (
            f"; the nearest val or test image of a train image is usually at {score.usual:.2g}, and 99 of 100 are at "
            f"{score.low:.2g} or more"
            + (". So near, a copy cannot be told from another photograph" if score.as_copies else "")
        )
        for name, score in (("hash", one.hash), ("correlation", one.correlation))
    }
    return {
        "degenerate": (
            {"min_std": "auto", "min_entropy": 0.0, "min_sharpness": 0.0, "flagged": "reject"},
            f"auto: {said}, at most {one.std.most:g} grey levels; here {one.std.fitted:.2g}, and usually yours have "
            f"{one.std.usual:.2g}. Less is a blank image",
        ),
        "hash": (
            {"min_train": 3.0 if task == "cls" else 1.0, "min_heldout": "auto", "min_generated": 1.0},
            f"bits, at most {one.hash.most:g}: a synthetic image nearer to a held-out one is a copy{near['hash']}",
        ),
        "correlation": (
            {"min_train": 0.0, "min_heldout": "auto", "min_generated": 0.0},
            f"1 - r, at most {one.correlation.most:g}: a changed copy{near['correlation']}",
        ),
    }


def nearness_remark(task: str, one: Nearness) -> str | None:
    """A warning if real images of train and of val or test are as near to each other as copies are."""
    if not (one.hash.as_copies or one.correlation.as_copies):
        return None
    return (
        f"1 in 100 train images is as near to a val or test image as a copy ({one.hash.low:.0f} bits of the hash, "
        f"correlation distance {one.correlation.low:.2g}). Frames of one video, or photographs of one object? Then "
        f"name download.{task}.group, so that they stay in one split; with a fixed camera, or plain "
        "pictures such as skies, it is as it must be"
    )


def _score(name: str, field: str, material: Material) -> Score:
    module: Any = score_module(name)
    values, most = module.measure_real(material, None)[field], module.AUTO[field]
    return Score(float(np.median(values)), threshold(values, math.inf), most)


def _reduced(records: Sequence[Record], bar: "tqdm[Any]") -> tuple[Record, ...]:
    reduced = []
    for record in records:
        reduced.append(record if max(record.size) <= _SIDE else replace(record, image=_thumbnail(record.open())))
        bar.update()
    return tuple(reduced)


def _thumbnail(picture: Image.Image) -> bytes:
    picture.thumbnail((_SIDE, _SIDE))
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
