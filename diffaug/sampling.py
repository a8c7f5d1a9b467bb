"""In which order a training set's images are seen, and how often each."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from diffaug.files import atomic_path
from diffaug.records import Record

_FILE = "treatment.json"


@dataclass(frozen=True)
class Treatment:
    """What `merge` says of a training set beyond its images.

    recipe: what was added to the real images; added: so many images. synthetic_weight: how often a synthetic image is
    seen, as a multiple of a real one. replace: instead, the probability with which a real image is replaced by one of
    its own variants. classic: train with the strongest classic augmentation.
    """

    recipe: str = "nothing"
    added: int = 0
    synthetic_weight: float = 1.0
    replace: float | None = None
    classic: bool = False


def write_treatment(folder: Path, treatment: Treatment) -> None:
    """Write `treatment.json` beside the set's tables."""
    with atomic_path(folder / _FILE) as temporary:
        temporary.write_text(json.dumps(asdict(treatment)) + "\n", encoding="utf-8")


def read_treatment(folder: Path) -> Treatment:
    """The set's treatment: of real images, which have no such file, the plain one."""
    path = folder / _FILE
    return Treatment(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Treatment()


def weights(records: Sequence[Record], treatment: Treatment) -> list[float] | None:
    """How often each image is to be seen, relative to the others; None where all are alike.

    Drawn by these weights, a real image with k variants is itself with probability 1 - p and each of them with p / k:
    as if it were replaced with probability p every time that its turn comes.
    """
    if treatment.replace is None:
        if treatment.synthetic_weight == 1.0:
            return None
        return [1.0 if record.origin == "real" else treatment.synthetic_weight for record in records]
    variants = Counter(record.source_id for record in records if record.origin == "synthetic")
    own = [1 - treatment.replace if variants[record.id] else 1.0 for record in records]
    return [
        weight if record.origin == "real" else treatment.replace / variants[record.source_id]
        for record, weight in zip(records, own)
    ]


def endless(count: int, seed: int, weights: Sequence[float] | None = None) -> Iterator[int]:
    """Indices below `count` without end: every one once in each round, in an order of that round's own; with weights
    as often as these say, drawn independently."""
    generator = torch.Generator().manual_seed(seed)
    chances = torch.tensor(weights, dtype=torch.float64) if weights is not None else None
    while True:
        if chances is None:
            yield from torch.randperm(count, generator=generator).tolist()
        else:
            yield from torch.multinomial(chances, count, replacement=True, generator=generator).tolist()
