"""How many images each class gets, and which of the candidates."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from diffaug.dataset.records import ImageSet, Record
from diffaug.params.merge import Level, MergeParams
from diffaug.runtime.errors import UserError


@dataclass(frozen=True)
class Choice:
    """The images to add. short: what is missing, one text per class, if `on_shortage` is lower."""

    records: tuple[Record, ...]
    short: tuple[str, ...] = ()


@dataclass(frozen=True)
class Demand:
    """How many are asked for, by class. boxes: whether boxes are counted; otherwise images, and None stands for scenes
    of any class."""

    wanted: Mapping[int | None, int]
    boxes: bool

    def counts(self, record: Record) -> Counter[int | None]:
        """What the image adds."""
        return Counter[int | None](record.category if self.boxes else [record.label])

    def total(self, records: Iterable[Record]) -> Counter[int | None]:
        """What the images add together."""
        found = Counter[int | None]()
        for record in records:
            found.update(self.counts(record))
        return found


def demand(real: ImageSet, params: MergeParams) -> Demand:
    """`ratio` images per real image, rounded, class by class; or, with `target`, as many as each class lacks.

    For detection a ratio counts scenes of any class, and a target counts boxes.
    """
    boxes = params.target is not None and any(record.label is None for record in real)
    if params.ratio is not None:
        counts = Counter(record.label for record in real)
        return Demand({label: round(params.ratio * counts[label]) for label in _ordered(counts)}, boxes)
    counts = Demand({}, boxes).total(real)
    level = params.target.per_class if isinstance(params.target, Level) else max(counts.values(), default=0)
    return Demand({label: max(0, level - counts[label]) for label in _ordered(counts)}, boxes)


def choose(real: ImageSet, generated: ImageSet, accepted: Collection[str], params: MergeParams, task: str) -> Choice:
    """The accepted synthetic images that are asked for, by seed; class by class for classification.

    A larger ratio adds to the choice of a smaller one, and more candidates do not reshuffle it. With `mix: replace`
    only images made from a real one count. Raises UserError, with the numbers, if too few were accepted, and if a row
    is not a synthetic train image made from a train image.
    """
    _check_rows(real, generated, task)
    usable = [record for record in generated if params.mix == "concat" or record.source_id]
    candidates = by_rank((record for record in usable if record.id in accepted), params.seed)
    asked = demand(real, params)
    chosen, missing = pick(candidates, asked)
    made, there = asked.total(usable), asked.total(candidates)
    short = tuple(
        f"{_name(real, label)}{asked.wanted[label]}{' boxes' if asked.boxes else ''} wanted, {there[label]} accepted "
        f"of {made[label]} made"
        for label in missing
    )
    if short and params.on_shortage == "fail":
        more = f"; and {len(short) - 3} more classes" if len(short) > 3 else ""
        lower = "merge.ratio" if params.ratio is not None else "merge.target"
        raise UserError(
            f"{task}: {params.amount} needs more synthetic images than were accepted "
            f"({'; '.join(short[:3])}{more}); raise generate.{task} counts, lower {lower}, loosen filter.{task}, or "
            "set merge.on_shortage: lower, which adds what there is"
        )
    return Choice(tuple(chosen), short)


def pick(candidates: Iterable[Record], asked: Demand) -> tuple[list[Record], list[int | None]]:
    """The first candidates of a class that still lacks some, by class; and the classes that lack some at the end.

    An endless iterable is read only until nothing is lacking.
    """
    lacking = Counter({label: count for label, count in asked.wanted.items() if count})
    chosen: list[Record] = []
    if lacking:
        for record in candidates:
            adds = asked.counts(record)
            if lacking.keys() & adds.keys():
                chosen.append(record)
                lacking = +(lacking - adds)
            if not lacking:
                break
    return sorted(chosen, key=lambda record: _order(record.label)), _ordered(lacking)


def by_rank(records: Iterable[Record], seed: int, draw: int | None = None) -> list[Record]:
    """The records in an order that is random by seed and draw, and that more records do not reshuffle."""
    key = str(seed) if draw is None else f"{seed} draw {draw}"
    return sorted(records, key=lambda record: _rank(key, record.id))


def _check_rows(real: ImageSet, generated: ImageSet, task: str) -> None:
    sources = {None, *(record.id for record in real)}
    for record in generated:
        if record.origin != "synthetic" or record.split != "train" or record.source_id not in sources:
            raise UserError(
                f"data/generated/{task}: {record.id} is {record.origin}, split {record.split}, made from "
                f"{record.source_id}; only synthetic images made from train images may enter train: run `dvc repro`"
            )


def _name(real: ImageSet, label: int | None) -> str:
    return "" if label is None else f"{real.names[label]}: "


def _ordered(labels: Iterable[int | None]) -> list[int | None]:
    return sorted(labels, key=_order)


def _order(label: int | None) -> int:
    return -1 if label is None else label


def _rank(key: str, id: str) -> str:
    return hashlib.sha256(f"{key}\0{id}".encode()).hexdigest()
