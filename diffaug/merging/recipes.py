"""The recipes: which images are added in the treatment, synthetic ones or, as a comparison, others in their place."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffaug.dataset.provenance import Provenance
from diffaug.dataset.records import ImageSet, Record, make_record
from diffaug.merging.choosing import by_label, choose, per_class, rank
from diffaug.params.merge import MergeParams
from diffaug.runtime.errors import UserError


@dataclass(frozen=True)
class Ingredients:
    """The data that a recipe may use, for one task ("cls" or "det").

    accepted: the ids of the images that the filter kept; pool: extra real images, of either task; rebuild: returns
    images of records as PNGs, encoded and decoded by the VAE of the generator.
    """

    task: str
    real: ImageSet
    generated: ImageSet
    accepted: Collection[str]
    pool: ImageSet
    params: MergeParams
    rebuild: Callable[[Sequence[Record]], tuple[list[bytes], Provenance]]


@dataclass(frozen=True)
class Recipe:
    """additions: returns the images to add, `ratio` per real image, class by class; None if the recipe has none for the
    task, so that both arms are the same. kind: what the images are called. Raises UserError if there are too few.
    """

    additions: Callable[[Ingredients], list[Record] | None]
    kind: str = "synthetic"


def _synthetic(given: Ingredients) -> list[Record]:
    return choose(given.real, given.generated, given.accepted, given.params, given.task)


def _unfiltered(given: Ingredients) -> list[Record]:
    everything = {record.id for record in given.generated}
    return choose(given.real, given.generated, everything, given.params, given.task)


def _duplicate(given: Ingredients) -> list[Record]:
    return _again(given, "again")


def _vae_roundtrip(given: Ingredients) -> list[Record]:
    copies = _again(given, "vae")
    pictures, made = given.rebuild(copies)
    return [_rebuilt(record, data, made) for record, data in zip(copies, pictures)]


def _shuffled_labels(given: Ingredients) -> list[Record] | None:
    if len(given.real.names) < 2:
        return None
    return [_mislabelled(record, len(given.real.names), given.params.seed) for record in _synthetic(given)]


def _real_more(given: Ingredients) -> list[Record] | None:
    fitting = [record for record in given.pool if (record.label is not None) == (given.task == "cls")]
    if not fitting:
        return None
    chosen: list[Record] = []
    known = {record.sha256 for record in given.real}
    by_class = by_label(one for one in fitting if one.sha256 not in known)
    for label, wanted in per_class(given.real, given.params.ratio).items():
        candidates = by_class.get(label, [])
        if len(candidates) < wanted:
            name = "" if label is None else f"{given.real.names[label]}: "
            raise UserError(
                f"{given.task}: merge.ratio {given.params.ratio:g} with recipe real_more needs more real images than "
                f"the pool has ({name}{wanted} wanted, {len(candidates)} there); raise download.{given.task}.pool, or "
                "lower merge.ratio"
            )
        first = sorted(candidates, key=lambda one: rank(given.params.seed, one.id))[:wanted]
        chosen += [replace(one, id=f"pool/{one.id}", split="train") for one in first]
    return chosen


RECIPES = {
    "synthetic": Recipe(_synthetic),  # images that the filter kept
    "unfiltered": Recipe(_unfiltered),  # any generated images
    "duplicate": Recipe(_duplicate, "repeated real"),
    "classic": Recipe(lambda given: []),  # adds no image; it changes the augmentation, see training/treatment.py
    "vae_roundtrip": Recipe(_vae_roundtrip),  # real images through the VAE of the generator
    "shuffled_labels": Recipe(_shuffled_labels),  # images that the filter kept, with wrong classes
    "real_more": Recipe(_real_more, "further real"),  # from data/pool
}


def _again(given: Ingredients, name: str) -> list[Record]:
    """Copies of real images, in turn."""
    copies = []
    by_class = by_label(given.real)
    for label, wanted in per_class(given.real, given.params.ratio).items():
        members = sorted(by_class[label], key=lambda one: rank(given.params.seed, one.id))
        for turn in range(wanted):
            record = members[turn % len(members)]
            copies.append(replace(record, id=f"{name}-{turn // len(members):03d}/{record.id}"))
    return copies


def _rebuilt(copy: Record, data: bytes, made: Provenance) -> Record:
    made = replace(made, source_id=copy.id.partition("/")[2], mode="vae_roundtrip")
    labels = {"label": copy.label, "bbox": copy.bbox, "category": copy.category}
    return make_record(copy.id, data, "train", origin="synthetic", **labels, **made.columns())


def _mislabelled(record: Record, classes: int, seed: int) -> Record:
    """The image with a wrong class, each of the others equally often; the same for each of its boxes."""
    generator = np.random.default_rng([seed, *record.sha256.encode()])

    def other(label: int) -> int:
        return (label + int(generator.integers(1, classes))) % classes

    label = other(record.label) if record.label is not None else None
    return replace(record, label=label, category=tuple(other(category) for category in record.category))
