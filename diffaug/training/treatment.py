"""The settings of a training set that `merge` stores with its images, for all readers of the set."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from diffaug.dataset.records import ImageSet, Record

# Keys in the metadata of a set:
TREATMENT = "treatment"
SHORT = "short"  # what is missing of the number asked for, if merge.on_shortage is lower
BLIND = "blind"  # of how many boxes of the added scenes the audit could judge none


@dataclass(frozen=True)
class Treatment:
    """The settings of a training set that `merge` stores with its images.

    recipe: what was added to the real images; added: the number of added images. synthetic_weight: how often an added
    image is used, relative to a real one. replace: the alternative, the probability with which a real image is replaced
    by one of its own variants. classic: train with the strongest classic augmentation.
    """

    recipe: str = "nothing"
    added: int = 0
    synthetic_weight: float = 1.0
    replace: float | None = None
    classic: bool = False


def treatment_of(images: ImageSet) -> Treatment:
    """The treatment stored in the set; the default one for real images, which store none."""
    return Treatment(**images.about.get(TREATMENT, {}))


def weights(records: Sequence[Record], treatment: Treatment) -> list[float] | None:
    """How often each image is used, relative to the others; None if all are used equally often.

    With these weights, a real image with k variants is drawn itself with probability 1 - p and each variant with p / k,
    as if it were replaced with probability p whenever it is its turn. Without `replace`, every image that merge added
    has the treatment's weight.
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
