"""What merge says of a training set beyond its images: the settings that every reader of the set obeys."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from diffaug.dataset.records import ImageSet, Record

TREATMENT = "treatment"  # the key in what a set says of itself


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


def treatment_of(images: ImageSet) -> Treatment:
    """What the set says of its treatment: of real images, which say nothing, the plain one."""
    return Treatment(**images.about.get(TREATMENT, {}))


def weights(records: Sequence[Record], treatment: Treatment) -> list[float] | None:
    """How often each image is to be seen, relative to the others; None where all are alike.

    Drawn by these weights, a real image with k variants is itself with probability 1 - p and each of them with p / k:
    as if it were replaced with probability p every time that its turn comes. Without `replace` whatever merge added has
    the treatment's weight.
    """
    if treatment.replace is None:
        found = [treatment.synthetic_weight if record.added_by else 1.0 for record in records]
    else:
        variants = Counter(record.source_id for record in records if record.origin == "synthetic")
        found = [
            treatment.replace / variants[record.source_id]
            if record.origin == "synthetic"
            else 1 - treatment.replace * bool(variants[record.id])
            for record in records
        ]
    return found if len(set(found)) > 1 else None
