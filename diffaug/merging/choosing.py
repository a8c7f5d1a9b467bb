"""Chooses the accepted synthetic images that are added to the real ones."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable

from diffaug.dataset.records import ImageSet, Record
from diffaug.params.merge import MergeParams
from diffaug.runtime.errors import UserError


def choose(
    real: ImageSet, generated: ImageSet, accepted: Collection[str], params: MergeParams, task: str
) -> list[Record]:
    """`ratio` accepted synthetic images per real image, rounded, by seed; class by class for classification.

    A larger ratio adds to the choice of a smaller one, and more candidates do not reshuffle it. With `mix: replace`
    only images made from a real one count. Raises UserError, with the numbers, if too few were accepted, and if a row
    is not a synthetic train image made from a train image.
    """
    _check_rows(real, generated, task)
    made = by_label(record for record in generated if params.mix == "concat" or record.source_id)
    chosen: list[Record] = []
    short: list[str] = []
    for label, wanted in per_class(real, params.ratio).items():
        of_class = made.get(label, [])
        candidates = [record for record in of_class if record.id in accepted]
        if wanted > len(candidates):
            name = "" if label is None else f"{real.names[label]}: "
            short.append(f"{name}{wanted} wanted, {len(candidates)} accepted of {len(of_class)} made")
        chosen += sorted(candidates, key=lambda record: rank(params.seed, record.id))[:wanted]
    if short:
        more = f"; and {len(short) - 3} more classes" if len(short) > 3 else ""
        raise UserError(
            f"{task}: merge.ratio {params.ratio:g} needs more synthetic images than were accepted "
            f"({'; '.join(short[:3])}{more}); raise generate.{task} counts, lower merge.ratio, or loosen filter.{task}"
        )
    return chosen


def _check_rows(real: ImageSet, generated: ImageSet, task: str) -> None:
    sources = {None, *(record.id for record in real)}
    for record in generated:
        if record.origin != "synthetic" or record.split != "train" or record.source_id not in sources:
            raise UserError(
                f"data/generated/{task}: {record.id} is {record.origin}, split {record.split}, made from "
                f"{record.source_id}; only synthetic images made from train images may enter train: run `dvc repro`"
            )


def by_label(records: Iterable[Record]) -> dict[int | None, list[Record]]:
    """The records by their class (None: scenes), in their order."""
    found: dict[int | None, list[Record]] = {}
    for record in records:
        found.setdefault(record.label, []).append(record)
    return found


def per_class(real: ImageSet, ratio: float) -> dict[int | None, int]:
    """By class (None: scenes), `ratio` images per real image, rounded."""
    counts = Counter(record.label for record in real)
    return {label: round(ratio * counts[label]) for label in sorted(counts, key=lambda one: -1 if one is None else one)}


def rank(seed: int, id: str) -> str:
    """The sort key of candidates: random, so that more candidates do not reshuffle the others."""
    return hashlib.sha256(f"{seed}\0{id}".encode()).hexdigest()
