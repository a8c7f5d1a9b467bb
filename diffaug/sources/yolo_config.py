"""The data.yaml of a YOLO set, and the lists of class names that other tools write in its place."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from diffaug.params.base import with_slashes
from diffaug.runtime.errors import UserError
from diffaug.runtime.yaml_files import read_yaml
from diffaug.sources.contents import Contents
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.image_files import files_below, is_image, no_picture, text_lines
from diffaug.sources.splits import by_split, split_of

NAME_FILES = ("classes.txt", "predefined_classes.txt", "obj.names", "_darknet.labels")
_YAML = (".yaml", ".yml")


def find_config(root: Path, found: Contents) -> Path | None:
    """The yaml of a YOLO set: root itself, or data.yaml, or the only one that has `names`.

    Raises UserError if there are several.
    """
    if root.suffix.lower() in _YAML:
        return root
    files = [path for path in found.files if path.suffix.lower() in _YAML]
    named = [path for path in files if path.stem.lower() == "data"]
    first = [path for path in named if path.parent == root]
    chosen = first or named or [path for path in files if _has_names(path)]
    if len(chosen) > 1:
        raise UserError(f"{root}: has {', '.join(map(str, chosen))}; name one with download.det.path")
    return chosen[0] if chosen else None


def _has_names(path: Path) -> bool:
    try:
        content = read_yaml(path)
    except UserError:
        return False
    return isinstance(content, dict) and "names" in content


def load_config(path: Path) -> dict[str, Any]:
    """The yaml's content. Raises UserError if it is no mapping."""
    config = read_yaml(path, spelled="names")
    if not isinstance(config, dict):
        raise UserError(f"{path}: expected keys such as 'train' and 'names', found {type(config).__name__}")
    return config


def config_names(config: dict[str, Any], path: Path) -> tuple[str, ...]:
    """The class names, as they are spelled. Raises UserError if they are no list and number nothing."""
    names = config.get("names")
    if isinstance(names, dict) and set(names) == {str(number) for number in range(len(names))}:
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: 'names' must list the classes, or number them from 0; found {names!r}")
    return _once(names, f"{path}: 'names'")


def listed_names(found: Contents) -> tuple[Path, tuple[str, ...]] | None:
    """A file of class names, one in each line, and these; None if there is none.

    Raises UserError if there are several with different names.
    """
    files = [path for path in found.files if path.name.lower() in NAME_FILES or path.suffix.lower() == ".names"]
    lists = {path: tuple(line.strip() for line in text_lines(path) if line.strip()) for path in files}
    different = {names: path for path, names in reversed(lists.items()) if names}
    if len(different) > 1:
        places = " and ".join(str(path) for path in list(different.values())[:2])
        raise UserError(f"{places} list different classes; leave one of them")
    for names, path in different.items():
        return path, _once(names, str(path))
    return None


def _once(names: Sequence[str], where: str) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise UserError(f"{where} has a class twice: {', '.join(names)}")
    return tuple(names)


def config_base(config: dict[str, Any], path: Path) -> Path:
    """The folder to which the paths of the yaml are relative: its `path`, or its own, if that does not exist here."""
    base = path.parent / with_slashes(str(config.get("path") or "."))
    if not base.is_dir():
        print(f"download: {path}: path {config['path']} does not exist, so its own folder is taken")
        return path.parent
    return base.resolve() if ".." in base.parts else base


def config_images(config: dict[str, Any], path: Path, base: Path, faults: list[Fault]) -> dict[str, list[Path]]:
    """The images of each split that the yaml names; none of a split that repeats train.

    Raises UserError if a split names nothing, or another key names a folder.
    """
    keys = by_split([key for key, value in config.items() if value], path)
    for key, value in config.items():
        entries = value if isinstance(value, list) else [value]
        if split_of(key) is None and key not in ("path", "names") and any(_is_place(base, one) for one in entries):
            raise UserError(f"{path}: {key!r} names {value}, but is no name of a split; rename it, or remove it")
    given: dict[str, list[Path]] = {}
    for split, key in keys.items():
        same = split != "train" and config[key] == config.get(keys.get("train", ""))
        images = [] if same else _listed(config[key], base, path, key, faults)
        if same or (split != "train" and _places(images) == _places(given.get("train", ()))):
            # As in coco128's own file, since Ultralytics needs both: then val and test are drawn here.
            print(f"download: {path}: '{key}' names the images of 'train', so it is ignored")
        else:
            given[split] = images
    return given


def _places(images: Iterable[Path]) -> set[str]:
    return {os.path.normpath(image) for image in images}


def _is_place(base: Path, entry: Any) -> bool:
    return isinstance(entry, str) and bool(entry.strip(". /\\")) and (base / with_slashes(entry)).is_dir()


def _listed(entry: Any, base: Path, config: Path, key: str, faults: list[Fault]) -> list[Path]:
    paths: list[Path] = []
    missing: list[Fault] = []
    for one in entry if isinstance(entry, list) else [entry]:
        named = with_slashes(str(one))
        place = base / named
        if not place.exists():  # Roboflow writes ../train/images, but means it relative to the yaml's own folder
            place = base / named.removeprefix("../")
        if place.is_dir():
            paths += _images(place, config, faults)
        elif place.suffix.lower() == ".txt" and place.is_file():
            paths += _list_file(place, [base, place.parent, config.parent], missing)
        else:
            raise UserError(f"{config}: '{key}' names {one}, which is neither a folder nor a .txt list below {base}")
    if not paths:
        reason = f" ({missing[0].text})" if missing else ""
        raise UserError(f"{config}: '{key}' has no images{reason}; name a folder or list with images")
    faults += missing
    return paths


def _images(place: Path, config: Path, faults: list[Fault]) -> list[Path]:
    files = files_below(place, faults)
    images = [path for path in files if is_image(path)]
    stems = {image.stem for image in images}
    for path in files:
        label = path.suffix.lower() == ".txt" and (path.stem in stems or "labels" in path.parts)
        if not (is_image(path) or label or path.name.lower() in NAME_FILES or config.is_relative_to(place)):
            faults.append(no_picture(path))
    return images


def _list_file(listing: Path, folders: Sequence[Path], faults: list[Fault]) -> list[Path]:
    paths = []
    for number, text in enumerate(text_lines(listing), 1):
        line = with_slashes(text.strip())
        path = next((folder / line for folder in folders if (folder / line).is_file()), None)
        if line and path is None:
            fault = f"{listing}, line {number}: the image {folders[0] / line} does not exist"
            faults.append(Fault(Kind.MISSING, fault, Path(line).stem))
        elif path is not None:
            paths.append(path)
    return paths
