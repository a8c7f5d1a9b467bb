"""The user's own detection images in YOLO format: a data.yaml, and one text file of boxes per image."""

from pathlib import Path
from typing import Any

from diffaug.dataset.records import SPLITS
from diffaug.runtime.errors import UserError
from diffaug.runtime.yaml_files import read_yaml
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.image_files import SPLIT_NAMES, file_item, images_below, text_lines
from diffaug.sources.labelled import Item, Labelled, Object


def read_yolo(config_file: Path) -> Labelled:
    """A data.yaml: names, train, and optionally val and test; labels in `labels` next to `images`.

    Rows are class, centre x, y, width, height as fractions. An image without a label file, or with an empty one, is a
    negative. Raises UserError if data.yaml is not valid.
    """
    config = _load_config(config_file)
    names = _names(config, config_file)
    base = (config_file.parent / str(config.get("path") or ".")).resolve()
    faults: list[Fault] = []
    given: dict[str, list[Path]] = {}
    for split in SPLITS:
        entry = next((config[name] for name in SPLIT_NAMES[split] if config.get(name)), None)
        if entry and entry == config.get("train") and split != "train":
            # As in coco128's own file, since Ultralytics needs both: then val and test are drawn here.
            print(f"download: {config_file}: '{split}' names the images of 'train', so it is ignored")
        elif entry:
            given[split] = _listed(entry, base, config_file, split, faults)
    if "train" not in given:
        raise UserError(f"{config_file}: no 'train' entry; it must name the folder of the training images")
    items = []
    for split, paths in given.items():
        for path in paths:
            item = _item(path, split, base, config_file, names, faults)
            items += [item] if item else []
    everything = [path for paths in given.values() for path in paths]
    _say_unlabelled(everything, config_file)
    faults += _orphans(everything, config_file)
    return Labelled(names, tuple(items), frozenset(given), tuple(faults), relative=True)


def _load_config(path: Path) -> dict[str, Any]:
    config = read_yaml(path)
    if not isinstance(config, dict):
        raise UserError(f"{path}: expected keys such as 'train' and 'names', found {type(config).__name__}")
    return config


def _names(config: dict[str, Any], path: Path) -> tuple[str, ...]:
    names = config.get("names")
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise UserError(f"{path}: 'names' must list the classes, or number them from 0; found {names!r}")
    if len({str(name) for name in names}) < len(names):
        raise UserError(f"{path}: 'names' has a class twice: {', '.join(map(str, names))}")
    return tuple(str(name) for name in names)


def _listed(entry: Any, base: Path, config: Path, split: str, faults: list[Fault]) -> list[Path]:
    paths: list[Path] = []
    for one in entry if isinstance(entry, list) else [entry]:
        place = base / str(one)
        if not place.exists():  # Roboflow writes ../train/images, but means it relative to the yaml's own folder
            place = base / str(one).removeprefix("../")
        if place.is_dir():
            paths += images_below(place)
        elif place.suffix == ".txt" and place.is_file():
            paths += _list_file(place, base, faults)
        else:
            raise UserError(f"{config}: '{split}' names {one}, which is neither a folder nor a .txt list below {base}")
    if not paths:
        raise UserError(f"{config}: '{split}' has no images; name a folder or list with images")
    return paths


def _list_file(listing: Path, base: Path, faults: list[Fault]) -> list[Path]:
    paths = []
    for number, line in enumerate(text_lines(listing), 1):
        path = base / line.strip()
        if line.strip() and not path.is_file():
            faults.append(Fault(Kind.MISSING, f"{listing}, line {number}: the image {path} does not exist"))
        elif line.strip():
            paths.append(path)
    return paths


def _item(path: Path, split: str, base: Path, config: Path, names: tuple[str, ...], faults: list[Fault]) -> Item | None:
    file = _label_file(path, config)
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    except UnicodeDecodeError:
        faults.append(Fault(Kind.BAD_LABELS, f"{file}: not a text file; expected rows 'class x y width height'"))
        return None
    rows = [_row(line, f"{file}, line {number}", names) for number, line in enumerate(lines, 1) if line.strip()]
    faults += [row for row in rows if isinstance(row, Fault)]
    return file_item(path, split, base, str(file), objects=tuple(row for row in rows if isinstance(row, Object)))


def _label_file(image: Path, config: Path) -> Path:
    parts = list(image.parts)
    if "images" not in parts:
        raise UserError(
            f"{image}: must be below a folder 'images', with its boxes in a folder 'labels' next to it ({config})"
        )
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _say_unlabelled(images: list[Path], config: Path) -> None:
    """Print how many images have no label file (negatives by YOLO's rule, or a mistake). Raises UserError if all."""
    missing = [file for image in images if not (file := _label_file(image, config)).exists()]
    if len(missing) == len(images):
        raise UserError(f"{config}: no image has a label file; looked for {missing[0]} and so on")
    if missing:
        print(
            f"download: {config}: {len(missing)} of {len(images)} images have no label file and count as negatives, "
            f"the first: {missing[0]}"
        )


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


def _orphans(images: list[Path], config: Path) -> list[Fault]:
    expected = {_label_file(path, config) for path in images}
    folders = sorted({path.parent for path in expected})
    return [
        Fault(Kind.NO_IMAGE, f"{path}: a label file without an image; remove it or add the image")
        for folder in folders
        for path in sorted(folder.glob("*.txt"))
        if path not in expected and path.name != "classes.txt"
    ]
