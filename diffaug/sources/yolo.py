"""The user's own detection images in YOLO format: one text file of boxes per image."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diffaug.runtime.errors import UserError
from diffaug.sources.contents import Contents
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.image_files import file_item
from diffaug.sources.labelled import Item, Labelled, Object
from diffaug.sources.lists import find_lists, list_files, split_by_lists
from diffaug.sources.pairs import Pair, pair_up, places, say_unlabelled, split_by_folders
from diffaug.sources.yolo_config import (
    NAME_FILES,
    config_base,
    config_images,
    config_names,
    listed_names,
    load_config,
)

_DOCUMENTS = ("readme", "license", "licence")


def is_yolo(found: Contents) -> bool:
    """Whether a text file with the name of an image has a row of at least five numbers."""
    stems = {image.stem for image in found.images}
    return any(path.stem in stems and _has_row(path) for path in found.of(".txt"))


def read_yolo(found: Contents, config_file: Path | None) -> Labelled:
    """A data.yaml: names, train, and optionally val and test; labels in `labels` next to `images`, or beside the
    images, or, if none is there, anywhere by name. Without splits in it, or without a data.yaml: images and text files
    in folders of any name, with splits by lists or folders, and the names in a classes.txt.

    Rows are class, centre x, y, width, height as fractions. An image without a label file, or with an empty one, is a
    negative. A class without a box is left out, and printed. Raises UserError if data.yaml is not valid.
    """
    faults: list[Fault] = []
    given: dict[str, list[Path]] = {}
    root = found.root
    if config_file is not None:
        config, source = load_config(config_file), config_file
        names = config_names(config, config_file)
        if not found.chosen:
            root = config_base(config, config_file)
            given = config_images(config, config_file, root, faults)
        if (given and "train" not in given) or not (given or found.images):
            raise UserError(f"{config_file}: no 'train' entry; it must name the folder of the training images")
    else:
        source, names = _names_of(found)
    pairs = _by_config(given, found) if given else _by_name(found)
    root = root if given else found.root
    _say_unnamed(given, found, source)
    say_unlabelled(pairs, root, "a text file")
    items = [item for pair in pairs if pair.image for item in _items(pair.image, pair, root, names, faults)]
    faults += [_orphan(path) for path in _orphans(pairs, found)]
    layout = f"YOLO, {places(pairs, root)}, {'splits' if given else 'names'} by {source.name}"
    splits = frozenset(pair.split for pair in pairs)
    labelled = Labelled(names, tuple(items), splits, tuple(faults), relative=True, layout=layout)
    return _used(labelled, source)


def _names_of(found: Contents) -> tuple[Path, tuple[str, ...]]:
    listed = listed_names(found)
    if listed is None:
        raise UserError(
            f"{found.root}: has text files of boxes, but no class names; add a classes.txt, one name per line, in the "
            "order of the class numbers, or a data.yaml"
        )
    return listed


def _say_unnamed(given: dict[str, list[Path]], found: Contents, source: Path) -> None:
    named = {os.path.realpath(image) for images in given.values() for image in images}
    left = [image for image in found.images if os.path.realpath(image) not in named] if given else []
    if left:
        print(f"download: {source}: left out {len(left)} images that no split in it names: {left[0]}, ...")


def _by_config(given: dict[str, list[Path]], found: Contents) -> list[Pair]:
    images = [(split, image) for split, paths in given.items() for image in paths]
    labels = {image: _label_file(image) for _, image in images}
    if not any(labels.values()):
        inside = [image for image in labels if image.is_relative_to(found.root)]
        labels |= {pair.image: pair.label for pair in pair_up(inside, _labels(found), found.root) if pair.image}
    return [Pair(split, image, labels[image], str(labels[image] or image)) for split, image in images]


def _by_name(found: Contents) -> list[Pair]:
    lists = find_lists([path for path in found.of(".txt") if path.name.lower() not in NAME_FILES], found.images)
    pairs = [pair for pair in pair_up(found.images, _labels(found), found.root) if pair.image]
    return split_by_lists(pairs, lists, found.root) if lists else split_by_folders(pairs, found.root)


def _labels(found: Contents) -> list[Path]:
    """The text files that may be labels."""
    stems = {image.stem for image in found.images}
    return [path for path in found.of(".txt") if path.stem in stems and not _is_other(path)]


def _is_other(path: Path) -> bool:
    name = path.name.lower()
    return name in NAME_FILES or name.startswith(_DOCUMENTS)


def _label_file(image: Path) -> Path | None:
    """The label file at the usual place: in `labels` where the image is in `images`, or beside the image."""
    parts = list(image.parts)
    last = next((index for index in reversed(range(len(parts))) if parts[index].lower() == "images"), None)
    paths = [image]
    if last is not None:
        paths = [Path(*parts[:last], word, *parts[last + 1 :]) for word in ("labels", "Labels", "LABELS")]
    candidates = [path.with_suffix(suffix) for path in paths for suffix in (".txt", ".TXT")]
    return next((path for path in candidates if path.is_file()), None)


def _orphans(pairs: Sequence[Pair], found: Contents) -> list[Path]:
    """The other text files of the folders in which there are labels."""
    labels = {pair.label for pair in pairs if pair.label is not None}
    folders = {label.parent for label in labels}
    texts = sorted(path for folder in folders for path in folder.iterdir() if path.suffix.lower() == ".txt")
    lists = list_files(texts, found.images)
    return [path for path in texts if path not in labels and path not in lists and not _is_other(path)]


def _orphan(path: Path) -> Fault:
    return Fault(Kind.NO_IMAGE, f"{path}: a label file without an image; remove it or add the image", path.stem)


def _items(image: Path, pair: Pair, root: Path, names: tuple[str, ...], faults: list[Fault]) -> list[Item]:
    """The image with its boxes; none if its label file is no text."""
    try:
        lines = pair.label.read_text(encoding="utf-8-sig").splitlines() if pair.label else []
    except UnicodeDecodeError:
        faults.append(Fault(Kind.BAD_LABELS, f"{pair.label}: not a text file; expected rows 'class x y width height'"))
        return []
    rows = [_row(line, f"{pair.label}, line {number}", names) for number, line in enumerate(lines, 1) if line.strip()]
    faults += [row for row in rows if isinstance(row, Fault)]
    objects = tuple(row for row in rows if isinstance(row, Object))
    return [file_item(image, pair.split, root, pair.where, objects=objects)]


def _used(labelled: Labelled, source: Path) -> Labelled:
    """The set without the classes that have no box. Raises UserError if there is no box at all."""
    used = sorted({thing.category for item in labelled.items for thing in item.objects})
    unused = [name for number, name in enumerate(labelled.names) if number not in used]
    if not unused:
        return labelled
    if not used:
        raise UserError(labelled.faults[0].text if labelled.faults else f"{source}: no label file has a box")
    print(f"download: {source}: classes left out, since they have no box: {', '.join(unused)}")
    items = tuple(
        replace(item, objects=tuple(replace(thing, category=used.index(thing.category)) for thing in item.objects))
        for item in labelled.items
    )
    return replace(labelled, names=tuple(labelled.names[number] for number in used), items=items)


def _has_row(path: Path) -> bool:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        cells = next((line.split() for line in lines if line.strip()), [])
        return len(cells) >= 5 and all(float(cell) is not None for cell in cells)
    except ValueError:  # a UnicodeDecodeError is one
        return False


def _row(line: str, where: str, names: tuple[str, ...]) -> Object | Fault:
    cells = line.split()
    try:
        category, values = int(float(cells[0])), [float(cell) for cell in cells[1:]]
        if category != float(cells[0]):
            raise ValueError
    except (ValueError, OverflowError):
        return Fault(Kind.BAD_ROW, f"{where}: {line.strip()!r} is not 'class x y width height' in numbers")
    if len(values) != 4:
        return Fault(Kind.BAD_ROW, f"{where}: has {len(cells)} values, expected 5: class x y width height")
    if not 0 <= category < len(names):
        return Fault(Kind.UNKNOWN_CLASS, f"{where}: class {category} is unknown, allowed are 0 to {len(names) - 1}")
    x, y, width, height = values
    edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return Object(where, category, edges, " ".join(cells[1:]))
