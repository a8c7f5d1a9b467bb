"""From what the readers found to the real images: opened, in splits, without faults and copies."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from diffaug.dataset.records import SPLITS
from diffaug.params.download import Fractions
from diffaug.runtime.errors import UserError
from diffaug.sources.alike import alike
from diffaug.sources.clusters import joined, scarce
from diffaug.sources.draws import Draw, Place, draw, starved
from diffaug.sources.faults import Dropped, Fault, Kind, settle
from diffaug.sources.groups import count
from diffaug.sources.labelled import Labelled
from diffaug.sources.opening import Opened, open_all
from diffaug.sources.real import RealData, copies


def to_real_data(
    labelled: Labelled,
    fractions: Fractions | None,
    seed: int,
    strict: bool,
    known: Callable[[Fault], bool] = lambda fault: False,
) -> RealData:
    """The images of one task, as `place_together` returns them."""
    return place_together([(labelled, fractions)], seed, strict, known)[0]


def place_together(
    readers: Sequence[tuple[Labelled, Fractions | None]],
    seed: int,
    strict: bool,
    known: Callable[[Fault], bool] = lambda fault: False,
) -> list[RealData]:
    """Open all images of one task or both, check all boxes, draw the splits that are not given (if the fractions are
    given), drop copies.

    One draw serves both tasks: images with the same pixels or group, or that look alike, come to the same split.
    Raises UserError with the first fault if strict and the fault is not `known` for the source; otherwise faults are
    dropped, printed and counted. Of an image in two splits, the copy in train is dropped before that in val, and val
    before test.
    """
    for labelled, fractions in readers:
        print(_understood(labelled, fractions))
    faults = [list(labelled.faults) for labelled, _ in readers]
    opened = [
        _of_one_class(images, labelled.names, found)
        for images, (labelled, _), found in zip(open_all([one for one, _ in readers], faults), readers, faults)
    ]
    placed = _place(opened, readers, seed)
    return [
        _settled(images, labelled, found, strict, known)
        for images, (labelled, _), found in zip(placed, readers, faults)
    ]


def _task(labelled: Labelled) -> str:
    return "cls" if any(item.label is not None for item in labelled.items) else "det"


def _understood(labelled: Labelled, fractions: Fractions | None) -> str:
    given = [split for split in SPLITS if split in labelled.given]
    drawn = [split for split in SPLITS if split not in labelled.given] if fractions is not None else []
    parts = [labelled.layout or "the files of the set", f"{len(labelled.items)} images"]
    parts += [f"splits given: {', '.join(given)}"] if len(given) > 1 or not drawn else ["no splits given"]
    parts += [f"drawn from train: {', '.join(drawn)}"] if drawn else []
    parts += [f"{groups} groups"] if (groups := count(labelled.items)) else []
    return f"download: {_task(labelled)}: {'; '.join(parts)}"


def _of_one_class(images: Sequence[Opened], names: Sequence[str], faults: list[Fault]) -> list[Opened]:
    """The images without those that occur in two classes: nobody knows which label is right."""
    same: dict[str, list[Opened]] = defaultdict(list)
    for image in images:
        if image.record.label is not None:
            same[image.pixels].append(image)
    wrong = {pixels: each for pixels, each in same.items() if len({image.record.label for image in each}) > 1}
    for each in wrong.values():
        texts = [f"{image.record.id} ({names[image.record.label or 0]})" for image in each]
        text = f"the same image is in two classes: {', '.join(texts[:3])}; remove the wrong one"
        faults += [Fault(Kind.TWO_CLASSES, text)] * len(each)
    return [image for image in images if image.pixels not in wrong]


def _place(
    opened: Sequence[Sequence[Opened]], readers: Sequence[tuple[Labelled, Fractions | None]], seed: int
) -> list[list[Opened]]:
    draws = [_draw(images, *reader) for images, reader in zip(opened, readers)]
    places = [(number, index) for number, images in enumerate(opened) for index in range(len(images))]
    looks = [image.look for images in opened for image in images]
    near = [(places[one], places[other]) for one, other in alike(looks)]
    clusters = joined(opened, draws, near)
    for (number, stratum), units in scarce(draws, clusters).items():
        names = readers[number][0].names
        if any(image.record.label is not None for image in opened[number]):
            raise UserError(
                f"download.cls: class {names[stratum]!r} has {units} groups of images, or different images, but each "
                "split that is drawn needs one; add images, or give the splits"
            )
    found = draw(draws, clusters, seed)
    for number, stratum, split, have, wanted in starved(draws, found):
        names = (*readers[number][0].names, "images without a box")
        print(
            f"download: note: {names[stratum]}: only {have} of {wanted} images for {split}, since most others belong "
            "together (they look alike, or are of one group)"
        )
    placed = [
        [
            replace(image, record=replace(image.record, split=found.get((number, index), image.record.split)))
            for index, image in enumerate(images)
        ]
        for number, images in enumerate(opened)
    ]
    _warn(placed, near)
    return placed


def _draw(images: Sequence[Opened], labelled: Labelled, fractions: Fractions | None) -> Draw:
    """val and test, if not given, are drawn from train, by the class or the rarest class per image."""
    val = 0.0 if fractions is None or "val" in labelled.given else fractions.val_fraction
    test = 0.0 if fractions is None or "test" in labelled.given else fractions.test_fraction
    train = [index for index, image in enumerate(images) if image.record.split == "train" and (val or test)]
    strata = dict(zip(train, _strata([images[index] for index in train], len(labelled.names))))
    given = {index: image.record.split for index, image in enumerate(images) if index not in strata}
    return Draw(strata, (val, test), given)


def _strata(images: Sequence[Opened], negative: int) -> list[int]:
    records = [image.record for image in images]
    counts = Counter(number for record in records for number in record.category)
    return [
        min(record.category, key=lambda number: (counts[number], number), default=negative)
        if record.label is None
        else record.label
        for record in records
    ]


def _warn(placed: Sequence[Sequence[Opened]], near: Sequence[tuple[Place, Place]]) -> None:
    """Print what looks alike, and what the draw could not keep together, since the files give the splits."""
    images = {(set, index): image for set, each in enumerate(placed) for index, image in enumerate(each)}
    pairs: dict[frozenset[str], tuple[Opened, Opened]] = {}  # a photograph of both tasks counts once
    for one, other in ((images[one], images[other]) for one, other in near):
        if one.pixels != other.pixels:
            pairs.setdefault(frozenset((one.pixels, other.pixels)), (one, other))
    together = [pair for pair in pairs.values() if pair[0].record.split == pair[1].record.split]
    if together and len({image.record.split for image in images.values()}) > 1:
        print(
            f"download: {len(together)} pairs of images look alike and are in one split, such as {_pair(*together[0])}"
        )
    apart = [pair for pair in pairs.values() if pair[0].record.split != pair[1].record.split]
    if apart:
        print(
            f"download: note: {len(apart)} pairs of images look alike, but are in two splits, such as "
            f"{_pair(*apart[0])}"
        )
    first: dict[object, Opened] = {}
    parted: dict[object, tuple[Opened, Opened]] = {}
    for image in images.values():
        other = first.setdefault(image.group, image) if image.group is not None else image
        if other.record.split != image.record.split:
            parted.setdefault(image.group, (other, image))
    if parted:
        print(
            f"download: note: the files put {len(parted)} groups into two splits, such as "
            f"{_pair(*next(iter(parted.values())))}"
        )


def _say_repeated(images: Sequence[Opened]) -> None:
    """Print how many images of one task have the pixels of another one of their split."""
    first: dict[tuple[str, str], Opened] = {}
    pairs = [(first.setdefault((image.record.split, image.pixels), image), image) for image in images]
    repeated = [pair for pair in pairs if pair[0] is not pair[1]]
    if repeated:
        print(
            f"download: note: number of images that repeat another one of their split: {len(repeated)}, such as "
            f"{_pair(*repeated[0])}"
        )


def _pair(one: Opened, other: Opened) -> str:
    return " and ".join(f"{image.record.id} ({image.record.split})" for image in (one, other))


def _settled(
    placed: Sequence[Opened],
    labelled: Labelled,
    faults: list[Fault],
    strict: bool,
    known: Callable[[Fault], bool],
) -> RealData:
    shared = copies([(image.record.split, image.record.id, image.pixels) for image in placed])
    faults += [Fault(Kind.SHARED, text) for text in shared.values()]
    dropped = settle(faults, strict, known)
    if labelled.kept_out:
        print(f"download: {labelled.kept_out} boxes marked as crowd or difficult are left out")
    kept = [image for index, image in enumerate(placed) if index not in shared]
    _say_repeated(kept)
    splits = {split: tuple(image.record for image in kept if image.record.split == split) for split in SPLITS}
    return RealData(labelled.names, splits, dropped + Dropped(kept_out=labelled.kept_out))
