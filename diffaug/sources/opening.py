"""Opens labelled images of any format and checks their boxes."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from diffaug.dataset import deep
from diffaug.dataset.codec import canonical, decode, largest_value
from diffaug.dataset.records import Record, make_record
from diffaug.pictures.boxes import XYWH
from diffaug.pictures.hashing import pixel_hash
from diffaug.runtime.errors import UserError
from diffaug.sources.alike import Look, look
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.labelled import Item, Labelled, Object

_OVERHANG = 1.0  # pixels by which a box may leave its image (rounding errors); the box is clipped


@dataclass(frozen=True)
class Opened:
    """An image with its valid boxes. pixels: hash of them; look: what it is compared by; group: as in its item."""

    record: Record
    pixels: str
    look: Look | None
    group: Hashable


def open_all(readers: Sequence[Labelled], faults: Sequence[list[Fault]]) -> list[list[Opened]]:
    """The images of each reader in its order, without the faulty ones, whose faults are added to its list.

    Images of 16 bits are scaled alike in all readers: white is the largest value that any of them has, rounded up to
    the largest value of 8, 10, 12, 14 or 16 bits.
    """
    found: list[dict[int, Opened | None]] = []
    waiting: list[tuple[int, int, Item]] = []
    largest: list[int] = []
    for number, reader in enumerate(readers):
        found.append({})
        items = _once(reader.items, faults[number])
        for place, item in enumerate(tqdm(items, desc="download: reading images", unit="image", mininterval=1.0)):
            data = _load(item, faults[number])
            value = largest_value(data) if data is not None else None
            if value is not None:
                largest.append(value)
                waiting.append((number, place, item))
                found[number][place] = None
            elif data is not None:
                found[number][place] = _open(item, data, reader.relative, faults[number])
    white = deep.white(largest) if largest else deep.FULL
    if largest:
        print(
            f"download: {len(largest)} images have 16 bits, with values up to {max(largest)}: {white} is read as white"
        )
    for number, place, item in waiting:
        data = _load(item, faults[number])
        if data is not None:
            found[number][place] = _open(item, data, readers[number].relative, faults[number], white)
    return [[image for image in one.values() if image is not None] for one in found]


def _once(items: Sequence[Item], faults: list[Fault]) -> list[Item]:
    """The items, without repeated files in the same split."""
    found: dict[tuple[str, str], Item] = {}
    faults += [
        Fault(Kind.TWICE, f"{item.where}: {item.id} is listed twice in {item.split}; list it once")
        for item in items
        if found.setdefault((item.split, item.id), item) is not item
    ]
    return list(found.values())


def _load(item: Item, faults: list[Fault]) -> bytes | None:
    try:
        return item.load()
    except UserError as error:
        faults.append(Fault(Kind.BAD_IMAGE, str(error)))
        return None


def _open(item: Item, data: bytes, relative: bool, faults: list[Fault], white: int = deep.FULL) -> Opened | None:
    """The item's record, with the valid boxes; None if the image is dropped."""
    name = item.file or item.id
    try:
        data = canonical(data, name, white)
        image = decode(data, name)
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
    return Opened(record, pixel_hash(image), look(image), item.group)


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
