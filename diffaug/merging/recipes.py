"""The recipes: which images are added in the treatment, synthetic ones or, as a comparison, others in their place."""

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffaug.dataset.provenance import Provenance
from diffaug.dataset.records import ImageSet, Record, make_record
from diffaug.merging.choosing import Choice, by_rank, choose, demand, pick
from diffaug.params.merge import MergeParams
from diffaug.runtime.errors import UserError


@dataclass(frozen=True)
class Ingredients:
    """The data that a recipe may use, for one task ("cls" or "det").

    generated: the draw of synthetic images for one training seed; accepted: the ids of those that the filter kept;
    pool: extra real images, of either task; rebuild: returns images of records as PNGs, encoded and decoded by the VAE
    of the generator; draw: the training seed if it has a draw of its own, otherwise None.
    """

    task: str
    real: ImageSet
    generated: ImageSet
    accepted: Collection[str]
    pool: ImageSet
    params: MergeParams
    rebuild: Callable[[Sequence[Record]], tuple[list[bytes], Provenance]]
    draw: int | None = None


@dataclass(frozen=True)
class Recipe:
    """additions: returns the images to add, as many as `ratio` or `target` asks for; None if it has none, so that both
    arms are the same. kind: what the images are called. Raises UserError if there are too few.
    """

    additions: Callable[[Ingredients], Choice | None]
    kind: str = "synthetic"


def _synthetic(given: Ingredients) -> Choice:
    return choose(given.real, given.generated, given.accepted, given.params, given.task)


def _unfiltered(given: Ingredients) -> Choice:
    everything = {record.id for record in given.generated}
    return choose(given.real, given.generated, everything, given.params, given.task)


def _duplicate(given: Ingredients) -> Choice:
    return Choice(tuple(_again(given, "again")))


def _vae_roundtrip(given: Ingredients) -> Choice:
    copies = _again(given, "vae")
    pictures, made = given.rebuild(copies)
    return Choice(tuple(_rebuilt(record, data, made) for record, data in zip(copies, pictures)))


def _shuffled_labels(given: Ingredients) -> Choice | None:
    classes = len(given.real.names)
    if classes < 2:
        return None
    right = _synthetic(given)
    return replace(right, records=tuple(_mislabelled(record, classes, given.params.seed) for record in right.records))


def _real_more(given: Ingredients) -> Choice | None:
    known = {record.sha256 for record in given.real}
    fitting = [record for record in given.pool if (record.label is not None) == (given.task == "cls")]
    if not fitting:
        return None
    candidates = by_rank((record for record in fitting if record.sha256 not in known), given.params.seed, given.draw)
    asked = demand(given.real, given.params)
    chosen, missing = pick(candidates, asked)
    there = asked.total(candidates)
    short = tuple(
        f"{'' if label is None else f'{given.real.names[label]}: '}{asked.wanted[label]} wanted, {there[label]} there"
        for label in missing
    )
    if short and given.params.on_shortage == "fail":
        raise UserError(
            f"{given.task}: {given.params.amount} with recipe real_more needs more real images than the pool has "
            f"({short[0]}); raise download.{given.task}.pool, lower ratio or target, or set merge.on_shortage: lower"
        )
    return Choice(tuple(replace(one, id=f"pool/{one.id}", split="train") for one in chosen), short)


RECIPES = {
    "synthetic": Recipe(_synthetic),  # images that the filter kept
    "unfiltered": Recipe(_unfiltered),  # any generated images
    "duplicate": Recipe(_duplicate, "repeated real"),
    "classic": Recipe(lambda given: Choice(())),  # adds no image, but changes the augmentation: training/treatment.py
    "vae_roundtrip": Recipe(_vae_roundtrip),  # real images through the VAE of the generator
    "shuffled_labels": Recipe(_shuffled_labels),  # images that the filter kept, with wrong classes
    "real_more": Recipe(_real_more, "further real"),  # from data/pool
}


def _again(given: Ingredients, name: str) -> list[Record]:
    """Copies of real images, in turn."""
    members = by_rank(given.real, given.params.seed, given.draw)
    copies = (replace(one, id=f"{name}-{turn:03d}/{one.id}") for turn in itertools.count() for one in members)
    return pick(copies, demand(given.real, given.params))[0]


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
