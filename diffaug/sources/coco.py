"""The user's own detection images in COCO format: instances_SPLIT.json, Roboflow's files, or a single json."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffaug.dataset.records import SPLITS
from diffaug.runtime.errors import UserError
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.image_files import SPLIT_NAMES, file_item, number, split_folder
from diffaug.sources.labelled import Item, Labelled, Object

_INSTANCES = re.compile(r"instances_((train|validation|valid|val|test).*)\.json")
_ROBOFLOW = "_annotations.coco.json"


@dataclass(frozen=True)
class _File:
    """One json: its split, the folders that may contain its images, and its lists."""

    path: Path
    split: str
    folders: tuple[Path, ...]
    content: dict[str, list[Any]] = field(repr=False)


def coco_files(root: Path) -> list[Path]:
    """The COCO files of a folder, empty if there are none; or `root` itself if it is one."""
    if root.is_file():
        return [root] if root.suffix == ".json" else []
    files = [path for path in sorted(root.glob("annotations/*.json")) if _INSTANCES.fullmatch(path.name)]
    files += [path for split in SPLITS if (path := (split_folder(root, split) or root) / _ROBOFLOW).is_file()]
    if not files:
        found = sorted([*root.glob("*.json"), *root.glob("annotations/*.json")])
        files = [path for path in found if _looks_like_coco(path)]
    return sorted(set(files))


def read_coco(root: Path, paths: Sequence[Path]) -> Labelled:
    """The COCO files of a folder. Boxes are x, y, width, height in pixels; `iscrowd` boxes are left out and counted.

    Class names are in the order of the category ids; a category without a box is left out, and printed. Raises
    UserError if a file is not a COCO file, or two of them disagree.
    """
    if len(paths) > 1 and not any(map(_split, paths)):
        raise UserError(f"{root}: {len(paths)} COCO files ({_listing(paths)}) and no split in their names; name one")
    files = [_open(root, path) for path in paths]
    given = frozenset(file.split for file in files)
    if "train" not in given:
        raise UserError(f"{root}: has COCO files of {', '.join(sorted(given))}, but none of train; add one")
    categories = _categories(files)
    names = tuple(categories.values())
    numbers = {id: index for index, id in enumerate(categories)}
    faults: list[Fault] = []
    items: list[Item] = []
    kept_out = 0
    for file in files:
        objects, crowd = _objects(file, numbers, faults)
        kept_out += crowd
        items += _items(file, root if root.is_dir() else root.parent, objects, faults)
    return Labelled(names, tuple(items), given, tuple(faults), kept_out=kept_out)


def _looks_like_coco(path: Path) -> bool:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def _listing(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)


def _split(path: Path) -> str | None:
    named = _INSTANCES.fullmatch(path.name)
    word = named.group(2) if named else path.parent.name if path.name == _ROBOFLOW else ""
    return next((split for split, names in SPLIT_NAMES.items() if word in names), None)


def _open(root: Path, path: Path) -> _File:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); correct or replace the file") from None
    parts = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in parts):
        raise UserError(f"{path}: not a COCO file with the lists {', '.join(parts)}; correct or replace the file")
    named = _INSTANCES.fullmatch(path.name)
    split = _split(path) or "train"
    words = [named.group(1)] if named else []
    words += [word for word in SPLIT_NAMES[split] if word not in words]
    top = root if root.is_dir() else path.parent
    folders = [place / word for word in words for place in (top, top / "images")] + [top / "images", top]
    return _File(path, split, (path.parent, *folders), content)


def _categories(files: Sequence[_File]) -> dict[int, str]:
    """Names by id, in the order of ids, of the categories that have a box."""
    found: dict[int, str] = {}
    for file in files:
        for entry in file.content["categories"]:
            if not isinstance(entry, dict) or type(entry.get("id")) is not int or "name" not in entry:
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
        if isinstance(annotation, dict) and not annotation.get("iscrowd") and type(annotation.get("category_id")) is int
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


def _objects(file: _File, numbers: dict[int, int], faults: list[Fault]) -> tuple[dict[Any, list[Object]], int]:
    """Objects by image id, and the number of crowd boxes."""
    images = {_key(entry) for entry in file.content["images"]}
    objects: dict[Any, list[Object]] = {}
    crowds = 0
    for position, annotation in enumerate(file.content["annotations"], 1):
        entry = annotation if isinstance(annotation, dict) else {}
        where = f"{file.path}, annotation {entry['id']}" if "id" in entry else f"{file.path}, annotation no. {position}"
        if entry.get("iscrowd"):
            crowds += 1
            continue
        thing = _object(entry, where, numbers)
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


def _items(file: _File, root: Path, objects: dict[Any, list[Object]], faults: list[Fault]) -> Iterator[Item]:
    seen = set()
    for position, entry in enumerate(file.content["images"], 1):
        key = _key(entry)
        where = f"{file.path}, image {key}" if key is not None else f"{file.path}, image no. {position}"
        if key is None or key in seen or not isinstance(entry.get("file_name"), str):
            faults.append(Fault(Kind.BAD_ENTRY, f"{where}: needs an id of its own and a file_name"))
            continue
        seen.add(key)
        name = entry["file_name"]
        path = next((folder / name for folder in file.folders if (folder / name).is_file()), None)
        if path is None:
            faults.append(Fault(Kind.MISSING, f"{where}: {name} is neither in {_places(file)}"))
            continue
        size = (entry.get("width"), entry.get("height"))
        declared = size if all(type(side) in (int, float) and side > 0 for side in size) else None
        yield file_item(path, file.split, root, where, size=declared, objects=tuple(objects.get(key, ())))


def _key(entry: Any) -> int | str | None:
    key = entry.get("id") if isinstance(entry, dict) else None
    return key if type(key) in (int, str) else None


def _places(file: _File) -> str:
    return " nor in ".join(str(folder) for folder in dict.fromkeys(file.folders))
