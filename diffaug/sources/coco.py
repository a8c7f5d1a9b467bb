"""The user's own detection images in COCO format: one json per split, or a single one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from diffaug.runtime.errors import UserError
from diffaug.sources.coco_files import CocoFile, open_file, split_of_file
from diffaug.sources.coco_images import find_image
from diffaug.sources.contents import Contents
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.flags import flag
from diffaug.sources.image_files import file_item, number
from diffaug.sources.labelled import Item, Labelled, Object
from diffaug.sources.splits import TRAINVAL, need_train


def read_coco(found: Contents, paths: Sequence[Path]) -> Labelled:
    """The COCO files of a folder. Boxes are x, y, width, height in pixels; `iscrowd` boxes are left out and counted.

    Class names are in the order of the category ids; a category without a box is left out, and printed. Raises
    UserError if a file is not a COCO file, or two of them disagree.
    """
    files = [open_file(path, split) for path, split in _with_splits(paths, found.root)]
    given = frozenset(file.split for file in files)
    categories = _categories(files)
    names = tuple(categories.values())
    numbers = {id: index for index, id in enumerate(categories)}
    faults: list[Fault] = []
    items: list[Item] = []
    kept_out = 0
    for file in files:
        objects, crowd = _objects(file, numbers, faults)
        kept_out += crowd
        items += _items(file, found, objects, faults)
    _say_unlisted(found, items)
    layout = f"COCO, {', '.join(file.path.relative_to(found.root).as_posix() for file in files)}"
    return Labelled(names, tuple(items), given, tuple(faults), kept_out=kept_out, layout=layout)


def _with_splits(paths: Sequence[Path], root: Path) -> list[tuple[Path, str]]:
    """The files with their splits, which their names or folders give; a single file may be without."""
    splits = {path: split_of_file(path, root) for path in paths}
    if len(paths) > 1 and None in splits.values():
        unknown = next(path for path, split in splits.items() if split is None)
        listing = ", ".join(path.relative_to(root).as_posix() for path in paths)
        raise UserError(f"{unknown}: one of {len(paths)} COCO files ({listing}), but no split is in its name; add one")
    if "train" in splits.values() and TRAINVAL in splits.values():
        both = [path for path, split in splits.items() if split == TRAINVAL]
        print(f"download: {both[0]}: not read, since there is also a file of train")
        splits = {path: split for path, split in splits.items() if split != TRAINVAL}
    chosen = [(path, "train" if split in (None, TRAINVAL) else str(split)) for path, split in splits.items()]
    need_train([split for _, split in chosen], root)
    return sorted(chosen, key=lambda one: str(one[0]))


def _say_unlisted(found: Contents, items: Sequence[Item]) -> None:
    listed = {item.file for item in items}
    left = [path for path in found.images if str(path) not in listed]
    if left:
        print(f"download: {found.root}: left out {len(left)} images that no COCO file lists: {left[0]}, ...")


def _categories(files: Sequence[CocoFile]) -> dict[int, str]:
    """Names by id, in the order of ids, of the categories that have a box."""
    found: dict[int, str] = {}
    for file in files:
        for entry in file.content["categories"]:
            named = isinstance(entry, dict) and type(entry.get("name")) in (str, int)
            if not named or type(entry.get("id")) is not int:
                raise UserError(f"{file.path}: a category must have an integer id and a name; found {entry!r}")
            name = found.setdefault(entry["id"], str(entry["name"]))
            if name != str(entry["name"]):
                raise UserError(
                    f"{file.path}: category {entry['id']} is {entry['name']!r}, elsewhere {name!r}; use one name"
                )
    used = {
        annotation.get("category_id")
        for file in files
        for annotation in file.content["annotations"]
        if isinstance(annotation, dict)
        and flag(annotation.get("iscrowd")) is False
        and type(annotation.get("category_id")) is int
    }
    unused = [found[id] for id in sorted(found) if id not in used]
    kept = {id: found[id] for id in sorted(found) if id in used}
    if not kept:
        raise UserError(f"{files[0].path}: has no annotations; detection needs boxes")
    if len(set(kept.values())) < len(kept):
        raise UserError(f"{files[0].path}: two categories have the same name ({', '.join(kept.values())}); rename one")
    if unused:
        print(f"download: {files[0].path}: categories left out, since they have no box: {', '.join(unused)}")
    return kept


def _objects(file: CocoFile, numbers: dict[int, int], faults: list[Fault]) -> tuple[dict[Any, list[Object]], int]:
    """Objects by image id, and the number of crowd boxes."""
    images = {_key(entry) for entry in file.content["images"]}
    objects: dict[Any, list[Object]] = {}
    crowds = 0
    for position, annotation in enumerate(file.content["annotations"], 1):
        entry = annotation if isinstance(annotation, dict) else {}
        where = f"{file.path}, annotation {entry['id']}" if "id" in entry else f"{file.path}, annotation no. {position}"
        crowd = flag(entry.get("iscrowd"))
        if crowd:
            crowds += 1
            continue
        thing = _object(entry, where, numbers)
        if crowd is None:
            text = f"{where}: iscrowd is {entry['iscrowd']!r}, which is neither yes (1) nor no (0)"
            thing = Fault(Kind.BAD_ROW, text)
        image = entry.get("image_id")
        if isinstance(thing, Fault):
            faults.append(thing)
        elif type(image) not in (int, str) or image not in images:
            faults.append(
                Fault(Kind.NO_SUCH_IMAGE, f"{where}: names the image {image!r}, which the file does not have")
            )
        else:
            objects.setdefault(image, []).append(thing)
    return objects, crowds


def _object(entry: dict[str, Any], where: str, numbers: dict[int, int]) -> Object | Fault:
    box = entry.get("bbox")
    try:
        if not isinstance(box, list) or len(box) != 4:
            raise ValueError
        x, y, width, height = (number(value) for value in box if not isinstance(value, str))
    except (ValueError, OverflowError):
        return Fault(Kind.BAD_ROW, f"{where}: bbox {box!r} is not [x, y, width, height] in numbers")
    category = entry.get("category_id")
    if type(category) is not int or category not in numbers:
        return Fault(Kind.UNKNOWN_CLASS, f"{where}: category {category!r} is unknown, allowed are {sorted(numbers)}")
    return Object(where, numbers[category], (x, y, x + width, y + height), " ".join(map(str, box)))


def _items(file: CocoFile, found: Contents, objects: dict[Any, list[Object]], faults: list[Fault]) -> Iterator[Item]:
    seen = set()
    for position, entry in enumerate(file.content["images"], 1):
        key = _key(entry)
        where = f"{file.path}, image {key}" if key is not None else f"{file.path}, image no. {position}"
        if key is None or key in seen or not isinstance(entry.get("file_name"), str):
            faults.append(Fault(Kind.BAD_ENTRY, f"{where}: needs an id of its own and a file_name"))
            continue
        seen.add(key)
        image = find_image(entry["file_name"], file, found, where)
        if isinstance(image, Fault):
            faults.append(image)
            continue
        size = (entry.get("width"), entry.get("height"))
        declared = size if all(type(side) in (int, float) and side > 0 for side in size) else None
        yield file_item(image, file.split, found.root, where, size=declared, objects=tuple(objects.get(key, ())))


def _key(entry: Any) -> int | str | None:
    key = entry.get("id") if isinstance(entry, dict) else None
    return key if type(key) in (int, str) else None
