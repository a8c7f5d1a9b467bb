"""The user's own detection images in Pascal VOC format: one XML file per image (Everingham et al. 2010)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from diffaug.dataset.records import SPLITS
from diffaug.pictures.boxes import XYXY
from diffaug.runtime.errors import UserError
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.image_files import file_item, is_image, split_folder, text_lines, visible
from diffaug.sources.labelled import Item, Labelled, Object

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_PRESENCE = re.compile(r"\s+-?[01]$")  # of a class, in the lists of single classes; image names may have spaces


@dataclass(frozen=True)
class Pair:
    """An image and its XML file; either may be missing. where: its place, for messages."""

    split: str
    image: Path | None
    label: Path | None
    where: str


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


def voc_layout(root: Path) -> bool:
    """Whether the folder has XML files in a layout of VOC, Roboflow or labelImg."""
    return any(any(folder.glob("*.xml")) for folder in [root, root / "Annotations", *_split_folders(root).values()])


def read_voc(root: Path, classes: Sequence[str] | None) -> Labelled:
    """The classic layout (Annotations, JPEGImages, ImageSets/Main), Roboflow's (XML next to the images of a split), or
    labelImg's (XML next to all images in one folder).

    Raises UserError if the lists of splits are not valid.
    """
    folders = _split_folders(root)
    if (root / "Annotations").is_dir():
        pairs = _classic(root)
    elif "train" in folders:
        pairs = [pair for split, folder in folders.items() for pair in pair_up(folder, folder, split).values()]
    else:
        pairs = list(pair_up(root, root, "train").values())
    return read_pairs(root, pairs, classes)


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
        raise UserError(f"{faults[0].text}; images must be in JPEGImages, or next to the XML files")
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


def pair_up(images: Path, labels: Path, split: str) -> dict[str, Pair]:
    """Every image and every XML file of two folders, by name without suffix. Raises UserError on ambiguous names."""
    pictures, pages = _by_stem(images), {path.stem: path for path in _visible_files(labels) if path.suffix == ".xml"}
    stems = sorted(pictures.keys() | pages.keys())
    return {
        stem: Pair(split, pictures.get(stem), pages.get(stem), str(pages.get(stem, images / stem))) for stem in stems
    }


def _split_folders(root: Path) -> dict[str, Path]:
    return {split: folder for split in SPLITS if (folder := split_folder(root, split))}


def _visible_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and visible(path)) if folder.is_dir() else []


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in filter(is_image, _visible_files(folder)):
        other = found.setdefault(path.stem, path)
        if other != path:
            raise UserError(f"{path}: {other.name} has the same name, and so the same XML file; rename one")
    return found


def _classic(root: Path) -> list[Pair]:
    everything = pair_up(root / "JPEGImages", root / "Annotations", "train")
    lists = _lists(root / "ImageSets" / "Main")
    if not lists:
        return list(everything.values())
    pairs = []
    for split, entries in lists.items():
        for stem, where in entries.items():
            pair = everything.get(stem, Pair(split, None, None, where))
            pairs.append(Pair(split, pair.image, pair.label, pair.where if pair.image else where))
    listed = {stem for entries in lists.values() for stem in entries}
    unlisted = [pair for stem, pair in everything.items() if stem not in listed]
    # An XML file without image is always a fault; images that the lists leave out are the author's choice.
    pairs += [pair for pair in unlisted if pair.image is None]
    left = [pair for pair in unlisted if pair.image is not None]
    if left:
        print(
            f"download: {root}: left out {len(left)} images that no list of ImageSets/Main names: {left[0].image}, ..."
        )
    return pairs


def _lists(folder: Path) -> dict[str, dict[str, str]]:
    """Image names and their places, by split; trainval replaces a missing train, without the images of val."""
    lists = {name: _list(folder / f"{name}.txt") for name in (*SPLITS, "trainval")}
    both = lists.pop("trainval")
    if not lists["train"]:
        lists["train"] = {stem: where for stem, where in both.items() if stem not in lists["val"]}
    found = {split: entries for split, entries in lists.items() if entries}
    if found and "train" not in found:
        raise UserError(f"{folder}: has lists of {', '.join(found)}, but neither train.txt nor trainval.txt; add one")
    return found


def _list(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {
        _PRESENCE.sub("", line.strip()): f"{path}, line {number}"
        for number, line in enumerate(text_lines(path), 1)
        if line.strip()
    }


def _page(pair: Pair, faults: list[Fault]) -> _Page | None:
    if pair.image is None:
        kind = Kind.NO_IMAGE if pair.label and pair.where == str(pair.label) else Kind.MISSING
        text = "a label file without an image; remove it or add the image"
        faults.append(Fault(kind, f"{pair.where}: {text if kind is Kind.NO_IMAGE else 'there is no such image'}"))
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
        if _text(thing, "difficult") not in ("", "0"):
            difficult += 1
            continue
        row = _row(thing, pair.label)
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
