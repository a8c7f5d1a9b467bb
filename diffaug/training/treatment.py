"""What merge says of a training set beyond its images: the settings that every reader of the set obeys."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from diffaug.dataset.records import Record
from diffaug.runtime.files import atomic_path

ADDED = ("again-", "pool/")  # what the ids of real images begin with that merge adds


_FILE = "treatment.json"


@dataclass(frozen=True)
class Treatment:
    """What `merge` says of a training set beyond its images.

    recipe: what was added to the real images; added: so many images. synthetic_weight: how often an added image is
    seen, as a multiple of one that was there. replace: instead, the probability with which a real image is replaced by
    one of its own variants. classic: train with the strongest classic augmentation.
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
    as if it were replaced with probability p every time that its turn comes. Without `replace` whatever merge added has
    the treatment's weight.
    """
    if treatment.replace is None:
        found = [treatment.synthetic_weight if _is_added(record) else 1.0 for record in records]
    else:
        variants = Counter(record.source_id for record in records if record.origin == "synthetic")
        found = [
            treatment.replace / variants[record.source_id]
            if record.origin == "synthetic"
            else 1 - treatment.replace * bool(variants[record.id])
            for record in records
        ]
    return found if len(set(found)) > 1 else None


def _is_added(record: Record) -> bool:
    return record.origin == "synthetic" or record.id.startswith(ADDED)
