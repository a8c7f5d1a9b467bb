"""The user's own detection images in Pascal VOC format: one XML file per image (Everingham et al. 2010)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lxml import etree

from diffaug.pictures.boxes import XYXY
from diffaug.runtime.errors import UserError
from diffaug.sources.contents import Contents
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.flags import flag
from diffaug.sources.image_files import file_item
from diffaug.sources.labelled import Item, Labelled, Object
from diffaug.sources.lists import find_lists, split_by_lists
from diffaug.sources.pairs import Pair, pair_up, places, say_unlabelled, split_by_folders

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_IMAGES = "jpegimages"
_HEAD = 4096  # bytes of a file that tell its format


@dataclass(frozen=True)
class _Row:
    where: str
    name: str
    corners: XYXY


@dataclass(frozen=True)
class _Page:
    size: tuple[int, int] | None
    rows: tuple[_Row, ...]
    difficult: int


def is_voc(path: Path) -> bool:
    """Whether the file looks like one of Pascal VOC."""
    with path.open("rb") as file:
        return b"<annotation" in file.read(_HEAD).replace(b"<annotations", b"")


def read_voc(found: Contents, classes: Sequence[str] | None) -> Labelled:
    """Images and XML files in folders of any name; splits by the lists of ImageSets, or by folders named after them.

    Where there is a folder JPEGImages, images elsewhere (masks) are left out. Raises UserError if names or splits are
    ambiguous.
    """
    inside = [path for path in found.images if any(folder.name.lower() == _IMAGES for folder in path.parents)]
    away = sorted(set(found.images).difference(inside))
    if inside and away:
        print(f"download: {found.root}: {len(away)} images are in no JPEGImages: {away[0]}, ...")
    pairs = pair_up(inside or found.images, found.of(".xml"), found.root)
    lists = find_lists(found.of(".txt"), found.images)
    pairs = split_by_lists(pairs, lists, found.root) if lists else split_by_folders(pairs, found.root)
    say_unlabelled(pairs, found.root, "an XML file")
    layout = f"Pascal VOC, {places(pairs, found.root)}{', splits by lists' if lists else ''}"
    return replace(read_pairs(found.root, pairs, classes), layout=layout)


def read_pairs(root: Path, pairs: Sequence[Pair], classes: Sequence[str] | None) -> Labelled:
    """The boxes of the pairs; class names are `classes`, or all that occur, sorted. `difficult` boxes are left out and
    counted.

    Boxes are 1-based inclusive pixels, as in the VOC devkit: left = xmin - 1, right = xmax. If any coordinate of the
    folder is 0, that is impossible, and boxes are read as 0-based edges: left = xmin, right = xmax. A box with
    xmin = xmax (or ymin = ymax) is a fault in both cases: in the devkit it is one pixel wide, but it usually comes from
    a click without a drag. An image without XML is a negative.
    """
    faults: list[Fault] = []
    pages: list[tuple[Pair, _Page]] = []
    for pair in pairs:
        page = _page(pair, faults)
        if page is not None:
            pages.append((pair, page))
    rows = [row for _, page in pages for row in page.rows]
    names = tuple(classes or sorted({row.name for row in rows}))
    if not names and faults:
        raise UserError(faults[0].text)
    if not names:
        raise UserError(f"{root}: no XML file has an object; detection needs boxes")
    zero = next((row for row in rows if 0 in row.corners), None)
    if zero is not None:
        print(f"download: {root}: boxes are read as 0-based edges, since a coordinate is 0 ({zero.where})")
    first = 1 if zero is None else 0
    numbers = {name: number for number, name in enumerate(names)}
    items = tuple(_item(pair, page, root, numbers, first, faults) for pair, page in pages)
    difficult = sum(page.difficult for _, page in pages)
    return Labelled(names, items, frozenset(pair.split for pair in pairs), tuple(faults), kept_out=difficult)


def _page(pair: Pair, faults: list[Fault]) -> _Page | None:
    if pair.image is None:
        kind = Kind.NO_IMAGE if pair.label and pair.where == str(pair.label) else Kind.MISSING
        text = "a label file without an image; remove it or add the image"
        text = f"{pair.where}: {text if kind is Kind.NO_IMAGE else 'there is no such image'}"
        faults.append(Fault(kind, text, pair.label.stem if pair.label else None))
        return None
    if pair.label is None:
        return _Page(None, (), 0)
    # No entities and no network, since the file is not trusted.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        top = etree.fromstring(pair.label.read_bytes(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        faults.append(Fault(Kind.BAD_LABELS, f"{pair.label}: not readable as XML ({_one_line(error)})"))
        return None
    if top.tag != "annotation":
        faults.append(Fault(Kind.BAD_LABELS, f"{pair.label}: has the root <{top.tag}>, expected <annotation>"))
        return None
    rows, difficult = [], 0
    for thing in top.findall("object"):
        text = _text(thing, "difficult")
        if flag(text):
            difficult += 1
            continue
        row = _row(thing, pair.label)
        if flag(text) is None:
            where = f"{pair.label}, line {thing.sourceline}"
            row = Fault(Kind.BAD_ROW, f"{where}: difficult is {text!r}, which is neither yes (1) nor no (0)")
        if isinstance(row, Fault):
            faults.append(row)
        else:
            rows.append(row)
    return _Page(_size(top), tuple(rows), difficult)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _text(node: etree._Element, name: str) -> str:
    return (node.findtext(name) or "").strip()


def _size(top: etree._Element) -> tuple[int, int] | None:
    """(width, height) as declared; None if missing or 0, as some tools write."""
    sides = [_text(top, f"size/{side}") for side in ("width", "height")]
    try:
        width, height = (int(float(side)) for side in sides)
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _row(thing: etree._Element, file: Path) -> _Row | Fault:
    where = f"{file}, line {thing.sourceline}"
    name, texts = _text(thing, "name"), [_text(thing, f"bndbox/{corner}") for corner in _CORNERS]
    try:
        left, top, right, bottom = map(float, texts)
    except ValueError:
        return Fault(Kind.BAD_ROW, f"{where}: bndbox {' '.join(texts)!r} is not {', '.join(_CORNERS)} in numbers")
    if not name:
        return Fault(Kind.BAD_ROW, f"{where}: the object has no name")
    return _Row(where, name, (left, top, right, bottom))


def _item(pair: Pair, page: _Page, root: Path, numbers: Mapping[str, int], first: int, faults: list[Fault]) -> Item:
    objects = []
    for row in page.rows:
        if row.name not in numbers:
            text = f"{row.where}: class {row.name!r} is unknown, allowed are {', '.join(numbers)}"
            faults.append(Fault(Kind.UNKNOWN_CLASS, text))
            continue
        left, top, right, bottom = row.corners
        values = " ".join(f"{value:g}" for value in row.corners)
        if right <= left or bottom <= top:
            text = f"{row.where}: the box {values} has no area; xmax must be above xmin, and ymax above ymin"
            faults.append(Fault(Kind.EMPTY, text))
            continue
        objects.append(Object(row.where, numbers[row.name], (left - first, top - first, right, bottom), values))
    assert pair.image is not None  # otherwise _page returned None
    return file_item(pair.image, pair.split, root, pair.where, size=page.size, objects=tuple(objects))
