"""Opens labelled images of any format, checks their boxes, and draws splits."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from diffaug.dataset.codec import decode
from diffaug.dataset.records import SPLITS, Record, make_record
from diffaug.params.download import Fractions
from diffaug.pictures.boxes import XYWH, XYXY
from diffaug.runtime.errors import UserError
from diffaug.sources.faults import Dropped, Fault, Kind, settle
from diffaug.sources.real import RealData, copies, pixel_hash, stratified_split

_OVERHANG = 1.0  # pixels by which a box may leave its image (rounding errors); the box is clipped


@dataclass(frozen=True)
class Object:
    """A labelled box as given in its file.

    where: file and line; box: left, top, right, bottom; text: its values as written, for messages.
    """

    where: str
    category: int
    box: XYXY
    text: str


@dataclass(frozen=True)
class Item:
    """A labelled image that has not been opened yet.

    load: returns the bytes to store, or raises UserError; where: its label file (or itself), for messages; size:
    (width, height) in pixels as declared in its label file; label: its class, for classification.
    """

    id: str
    split: str
    load: Callable[[], bytes]
    where: str
    label: int | None = None
    size: tuple[int, int] | None = None
    objects: tuple[Object, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """The output of a reader. given: splits that the files name; others are drawn from train. relative: whether boxes
    are fractions of the image's size; otherwise pixels. kept_out: boxes left out as crowd or difficult."""

    names: tuple[str, ...]
    items: tuple[Item, ...]
    given: frozenset[str]
    faults: tuple[Fault, ...] = ()
    relative: bool = False
    kept_out: int = 0


@dataclass(frozen=True)
class _Opened:
    record: Record
    pixels: str


def to_real_data(
    labelled: Labelled,
    fractions: Fractions | None,
    seed: int,
    strict: bool,
    known: Callable[[Fault], bool] = lambda fault: False,
) -> RealData:
    """Open all images, check all boxes, draw the splits that are not given (if `fractions` is given), drop copies.

    Raises UserError with the first fault if strict and the fault is not `known` for the source; otherwise faults are
    dropped, printed and counted. Of an image in two splits, the copy in train is dropped before that in val, and val
    before test.
    """
    faults = list(labelled.faults)
    opened = []
    for item in tqdm(_once(labelled.items, faults), desc="download: reading images", unit="image", mininterval=1.0):
        image = _open(item, labelled.relative, faults)
        if image is not None:
            opened.append(image)
    placed = _split(opened, labelled, fractions, seed)
    holders = [(image.record.split, image.record.id, image.pixels) for image in placed]
    shared = copies(holders)
    faults += [Fault(Kind.SHARED, text) for text in shared.values()]
    dropped = settle(faults, strict, known)
    if labelled.kept_out:
        print(f"download: {labelled.kept_out} boxes marked as crowd or difficult are left out")
    kept = [image.record for index, image in enumerate(placed) if index not in shared]
    splits = {split: tuple(record for record in kept if record.split == split) for split in SPLITS}
    return RealData(labelled.names, splits, dropped + Dropped(kept_out=labelled.kept_out))


def _once(items: Sequence[Item], faults: list[Fault]) -> list[Item]:
    """The items, without repeated files in the same split."""
    found: dict[tuple[str, str], Item] = {}
    faults += [
        Fault(Kind.TWICE, f"{item.where}: {item.id} is listed twice in {item.split}; list it once")
        for item in items
        if found.setdefault((item.split, item.id), item) is not item
    ]
    return list(found.values())


def _open(item: Item, relative: bool, faults: list[Fault]) -> _Opened | None:
    """The item's record, with the valid boxes; None if the image is dropped."""
    try:
        data = item.load()
        image = decode(data, item.id)
    except UserError as error:
        faults.append(Fault(Kind.BAD_IMAGE, str(error)))
        return None
    if item.size is not None and item.size != image.size:
        faults.append(Fault(Kind.SIZE, _size_text(item, image.size)))
        return None
    found: list[Fault] = []
    objects = _sound(item, image.size, relative, found)
    unit = next((fault for fault in found if fault.kind in (Kind.PIXELS, Kind.FRACTIONS)), None)
    if unit is not None:  # one reason per dropped image
        faults.append(unit)
        return None
    faults += found
    boxes, categories = tuple(box for _, box in objects), tuple(category for category, _ in objects)
    record = make_record(item.id, data, item.split, label=item.label, bbox=boxes, category=categories)
    return _Opened(record, pixel_hash(image))


def _size_text(item: Item, size: tuple[int, int]) -> str:
    declared = "{} x {}".format(*(item.size or ()))
    return (
        f"{item.where}: declares an image of {declared} pixels, but {item.id} (upright) has {size[0]} x {size[1]}, "
        "so none of its boxes can be trusted"
    )


def _sound(item: Item, size: tuple[int, int], relative: bool, faults: list[Fault]) -> list[tuple[int, XYWH]]:
    """(class, box as x, y, width, height in pixels) of the valid objects, clipped to the image."""
    sound: list[tuple[int, XYWH]] = []
    for thing in item.objects:
        scale = (size[0], size[1], size[0], size[1]) if relative else (1, 1, 1, 1)
        edges = tuple(value * factor for value, factor in zip(thing.box, scale))
        fault = _fault(thing, edges, size, relative)
        left, top = max(0.0, edges[0]), max(0.0, edges[1])
        box = (left, top, min(edges[2], size[0]) - left, min(edges[3], size[1]) - top)
        if fault is None and (box[2] <= 0 or box[3] <= 0):
            fault = Fault(Kind.EMPTY, f"{thing.where}: the box {thing.text} has no area inside its image")
        if fault is None and (thing.category, box) in sound:
            fault = Fault(Kind.DUPLICATE, f"{thing.where}: the box {thing.text} occurs twice in its image")
        if fault is None:
            sound.append((thing.category, box))
        else:
            faults.append(fault)
    return sound


def _fault(thing: Object, edges: Sequence[float], size: tuple[int, int], relative: bool) -> Fault | None:
    left, top, right, bottom = edges
    box = f"{thing.where}: the box {thing.text}"
    if not all(map(math.isfinite, edges)):
        return Fault(Kind.NOT_FINITE, f"{box} has a value that is not a finite number")
    if right <= left or bottom <= top:
        return Fault(Kind.EMPTY, f"{box} has no area; its width and height must be above 0")
    if not relative and max(edges) <= 1 < min(size):
        return Fault(Kind.FRACTIONS, f"{box} lies within one pixel: values up to 1 look like fractions, but are pixels")
    overhang = max(-left, -top, right - size[0], bottom - size[1])
    if overhang <= _OVERHANG:
        return None
    if relative and max((left + right) / size[0] / 2, (right - left) / size[0]) > 1:
        return _pixels(box)
    if relative and max((top + bottom) / size[1] / 2, (bottom - top) / size[1]) > 1:
        return _pixels(box)
    return Fault(
        Kind.OUTSIDE, f"{box} leaves its image of {size[0]} x {size[1]} pixels by {overhang:g}; up to 1 is clipped"
    )


def _pixels(box: str) -> Fault:
    return Fault(
        Kind.PIXELS, f"{box} leaves its image: values above 1 look like pixels, but must be fractions of its size"
    )


def _split(opened: Sequence[_Opened], labelled: Labelled, fractions: Fractions | None, seed: int) -> list[_Opened]:
    """The images with their splits. val and test, if not given, are drawn from train, by the rarest class per image."""
    if fractions is None:
        return list(opened)
    train = [image.record for image in opened if image.record.split == "train"]
    val = 0.0 if "val" in labelled.given else fractions.val_fraction
    test = 0.0 if "test" in labelled.given else fractions.test_fraction
    where = iter(stratified_split(_strata(train, len(labelled.names)), val, test, seed))
    return [
        replace(image, record=replace(image.record, split=next(where))) if image.record.split == "train" else image
        for image in opened
    ]


def _strata(records: Sequence[Record], negative: int) -> list[int]:
    counts = Counter(number for record in records for number in record.category)
    return [
        min(record.category, key=lambda number: (counts[number], number), default=negative)
        if record.label is None
        else record.label
        for record in records
    ]
