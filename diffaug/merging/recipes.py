"""What joins the real images in the treatment: synthetic ones, or what a sceptic asks to see in their place."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np

from diffaug.dataset.records import ImageSet, Record, make_record
from diffaug.merging.choosing import draw, per_class, rank
from diffaug.params.merge import MergeParams
from diffaug.runtime.errors import UserError

Rebuild = Callable[[Sequence[Record]], list[bytes]]


def additions(
    real: ImageSet,
    generated: ImageSet,
    accepted: Collection[str],
    pool: ImageSet,
    params: MergeParams,
    task: str,
    rebuild: Rebuild,
) -> list[Record] | None:
    """The images that the recipe adds, `ratio` for each real one, class by class; None where it has none for the task.

    synthetic: accepted ones. unfiltered: any that were generated. duplicate: the real ones again. classic: none, since
    it changes the training. vae_roundtrip: the real ones, encoded and decoded by the generator's VAE (`rebuild`: PNGs
    of records). shuffled_labels: accepted ones with wrong classes, where there are two. real_more: further real ones of
    the pool.
    Raises UserError where there are too few.
    """
    match params.recipe:
        case "classic":
            return []
        case "duplicate":
            return _again(real, params, "again")
        case "vae_roundtrip":
            copies = _again(real, params, "vae")
            return [_rebuilt(record, data) for record, data in zip(copies, rebuild(copies))]
        case "real_more":
            return _from_pool(real, pool, params, task) if any(_fits(record, task) for record in pool) else None
        case "unfiltered":
            return draw(real, generated, {record.id for record in generated}, params, task)
        case "shuffled_labels" if len(real.names) < 2:
            return None
        case "shuffled_labels":
            drawn = draw(real, generated, accepted, params, task)
            return [_mislabelled(record, len(real.names), params.seed) for record in drawn]
        case _:
            return draw(real, generated, accepted, params, task)


def _again(real: ImageSet, params: MergeParams, name: str) -> list[Record]:
    """Real images once more, in turn."""
    copies = []
    for label, wanted in per_class(real, params.ratio).items():
        members = sorted((one for one in real if one.label == label), key=lambda one: rank(params.seed, one.id))
        for turn in range(wanted):
            record = members[turn % len(members)]
            copies.append(replace(record, id=f"{name}-{turn // len(members):03d}/{record.id}"))
    return copies


def _rebuilt(copy: Record, data: bytes) -> Record:
    own = {"label": copy.label, "bbox": copy.bbox, "category": copy.category}
    source = copy.id.partition("/")[2]
    return make_record(copy.id, data, "train", origin="synthetic", source_id=source, mode="vae_roundtrip", **own)


def _mislabelled(record: Record, classes: int, seed: int) -> Record:
    """The image under another class than its own, each of the others equally often; so is each of its boxes."""
    generator = np.random.default_rng([seed, *record.sha256.encode()])

    def other(label: int) -> int:
        return (label + int(generator.integers(1, classes))) % classes

    label = other(record.label) if record.label is not None else None
    return replace(record, label=label, category=tuple(other(category) for category in record.category))


def _fits(record: Record, task: str) -> bool:
    return (record.label is not None) == (task == "cls")


def _from_pool(real: ImageSet, pool: ImageSet, params: MergeParams, task: str) -> list[Record]:
    chosen: list[Record] = []
    known = {record.sha256 for record in real}
    for label, wanted in per_class(real, params.ratio).items():
        candidates = [one for one in pool if _fits(one, task) and one.label == label and one.sha256 not in known]
        if len(candidates) < wanted:
            name = "" if label is None else f"{real.names[label]}: "
            raise UserError(
                f"{task}: merge.ratio {params.ratio:g} with recipe real_more needs more real images than the pool has "
                f"({name}{wanted} wanted, {len(candidates)} there); raise download.{task}.pool, or lower merge.ratio"
            )
        drawn = sorted(candidates, key=lambda one: rank(params.seed, one.id))[:wanted]
        chosen += [replace(one, id=f"pool/{one.id}", split="train") for one in drawn]
    return chosen
