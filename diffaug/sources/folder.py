"""A folder of one's own: one folder per class (ImageFolder), or a YOLO data.yaml."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from diffaug.errors import UserError
from diffaug.images import decode, read_file
from diffaug.params.data import Folder
from diffaug.records import SPLITS, Record, make_record
from diffaug.sources.real import RealData, stratified_split

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_VAL_NAMES = ("val", "valid", "validation")
Box = tuple[float, float, float, float]


def class_folders(params: Folder, seed: int) -> RealData:
    """A folder with train/CLASS/*, optionally val/CLASS/* and test/CLASS/*; or with CLASS/* alone.

    Splits that are not given are drawn from train, class by class. Raises UserError naming the file or folder.
    """
    root = _existing(Path(params.path), "download.cls.path")
    given = {split: folder for split in SPLITS if (folder := _split_folder(root, split))}
    if "train" not in given:
        if given:
            raise UserError(f"{root}: has {', '.join(given)} but no train folder; add it, or give class folders alone")
        given = {"train": root}
    names = tuple(sorted(folder.name for folder in given["train"].iterdir() if _visible(folder) and folder.is_dir()))
    if len(names) < 2:
        raise UserError(
            f"{given['train']}: expected one folder per class, at least two; found {', '.join(names) or 'none'}"
        )
    files: dict[str, list[tuple[Path, int]]] = {split: [] for split in given}
    for split, folder in given.items():
        for entry in sorted(filter(_visible, folder.iterdir())):
            if not entry.is_dir() or entry.name not in names:
                raise UserError(f"{entry}: no class of {given['train']} ({', '.join(names)}); move it away")
            files[split] += [(path, names.index(entry.name)) for path in _images(entry)]
    labels = [label for _, label in files["train"]]
    _enough(Counter(labels), names, given["train"], needed=1 + len({"val", "test"} - given.keys()))
    where = _assign(labels, given, params, seed)
    rows = [(path, where[index], label) for index, (path, label) in enumerate(files["train"])]
    rows += [(path, split, label) for split in given if split != "train" for path, label in files[split]]
    return RealData(
        names,
        _read(rows, root, lambda image, split, id, label, path: make_record(id, image, split, label=label)),
    )


def yolo_folder(params: Folder, seed: int) -> RealData:
    """A folder with a YOLO data.yaml: names, train, and optionally val and test; labels beside `images` in `labels`.

    An image without a label file, or with an empty one, is a negative. Splits that are not given are drawn from train,
    stratified by each image's rarest class. Raises UserError with file and line for any row that cannot be right.
    """
    root = _existing(Path(params.path), "download.det.path")
    config_file = root if root.is_file() else root / "data.yaml"
    config = _load_config(config_file)
    names = _names(config, config_file)
    base = (config_file.parent / str(config.get("path") or ".")).resolve()
    given: dict[str, list[Path]] = {}
    for split in SPLITS:
        entry = config.get(split) or (config.get("valid") if split == "val" else None)
        if entry:
            given[split] = _listed(entry, base, config_file, split)
    if "train" not in given:
        raise UserError(f"{config_file}: no 'train' entry; it must name the folder of the training images")
    objects = {
        path: _label_rows(_label_file(path, config_file), len(names)) for paths in given.values() for path in paths
    }
    _no_orphans(objects, config_file)
    counts = Counter(category for path in given["train"] for category, _ in objects[path])
    rarest = [
        min((c for c, _ in objects[path]), key=lambda c: (counts[c], c), default=len(names)) for path in given["train"]
    ]
    where = _assign(rarest, given, params, seed)
    rows = [(path, where[index], 0) for index, path in enumerate(given["train"])]
    rows += [(path, split, 0) for split in given if split != "train" for path in given[split]]

    def record(data: bytes, split: str, id: str, label: int, path: Path) -> Record:
        size = decode(data, id).size
        boxes = tuple(_pixels(box, size) for _, box in objects[path])
        return make_record(id, data, split, bbox=boxes, category=tuple(category for category, _ in objects[path]))

    return RealData(names, _read(rows, base, record))


def _enough(counts: Counter[int], names: Sequence[str], root: Path, needed: int) -> None:
    for label, name in enumerate(names):
        if counts[label] < needed:
            raise UserError(
                f"{root / name}: class {name!r} has {counts[label]} images, but needs {needed}, one for each "
                "split drawn from it; add images"
            )


def _assign(labels: Sequence[int], given: Collection[str], params: Folder, seed: int) -> list[str]:
    """Splits of the items of train, from which val and test are drawn where they are not given."""
    val = 0.0 if "val" in given else params.val_fraction
    test = 0.0 if "test" in given else params.test_fraction
    return stratified_split(labels, val, test, seed)


def _read(
    rows: Sequence[tuple[Path, str, int]],
    root: Path,
    record: Callable[[bytes, str, str, int, Path], Record],
) -> dict[str, tuple[Record, ...]]:
    splits: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for path, split, label in tqdm(rows, desc="download: reading images", unit="image", mininterval=1.0):
        data = read_file(path)
        # The path's own name is the id, so that every message and every export leads back to the file.
        name = path.resolve().relative_to(root.resolve()) if path.resolve().is_relative_to(root.resolve()) else path
        splits[split].append(record(data, split, name.as_posix().lstrip("/"), label, path))
    return {split: tuple(records) for split, records in splits.items()}


def _existing(path: Path, key: str) -> Path:
    if not path.exists():
        raise UserError(f"{key}: {path} does not exist; give a path, absolute or relative to the repository")
    return path


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")


def _split_folder(root: Path, split: str) -> Path | None:
    names = _VAL_NAMES if split == "val" else (split,)
    return next((root / name for name in names if (root / name).is_dir()), None)


def _images(folder: Path) -> list[Path]:
    """All images below the folder. Raises UserError on any other file: nothing is dropped in silence."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and _visible(path))
    for path in files:
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"{path}: not an image ({', '.join(sorted(SUFFIXES))} are); move or convert the file")
    return files


def _load_config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; detection from a folder needs a YOLO data.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
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


def _listed(entry: Any, base: Path, config: Path, split: str) -> list[Path]:
    paths: list[Path] = []
    for one in entry if isinstance(entry, list) else [entry]:
        place = base / str(one)
        if not place.exists():  # Roboflow writes ../train/images, meant from the yaml's own folder
            place = base / str(one).removeprefix("../")
        if place.is_dir():
            paths += _images(place)
        elif place.suffix == ".txt" and place.is_file():
            lines = place.read_text(encoding="utf-8").splitlines()
            paths += [_existing(base / line.strip(), str(place)) for line in lines if line.strip()]
        else:
            raise UserError(f"{config}: '{split}' names {one}, which is neither a folder nor a .txt list below {base}")
    if not paths:
        raise UserError(f"{config}: '{split}' holds no image")
    return paths


def _label_file(image: Path, config: Path) -> Path:
    parts = list(image.parts)
    if "images" not in parts:
        raise UserError(
            f"{image}: must lie below a folder 'images', with its boxes in a folder 'labels' beside it ({config})"
        )
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _label_rows(path: Path, classes: int) -> list[tuple[int, Box]]:
    """(class, centre x, centre y, width, height as fractions) of every row; none where the file is missing."""
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file; expected rows 'class x y width height'") from None
    return [_label_row(line, f"{path}, line {number}", classes) for number, line in enumerate(lines, 1) if line.strip()]


def _label_row(line: str, where: str, classes: int) -> tuple[int, Box]:
    cells = line.split()
    try:
        category, values = int(float(cells[0])), [float(cell) for cell in cells[1:]]
        if category != float(cells[0]):
            raise ValueError
    except (ValueError, OverflowError):
        raise UserError(f"{where}: {line.strip()!r} is not 'class x y width height' in numbers; mend the row") from None
    if len(values) != 4:
        raise UserError(f"{where}: has {len(cells)} values, expected 5: class x y width height; mend the row")
    if not 0 <= category < classes:
        raise UserError(
            f"{where}: class {category} is unknown, allowed are 0 to {classes - 1}; mend the row or 'names'"
        )
    x, y, width, height = values
    edges = (x - width / 2, y - height / 2, 1 - x - width / 2, 1 - y - height / 2)
    if not all(map(math.isfinite, values)) or width <= 0 or height <= 0 or min(edges) < -1e-3:
        raise UserError(
            f"{where}: the box {' '.join(cells[1:])} is empty or leaves the image; "
            "values are fractions of its size; mend the row"
        )
    return category, (x, y, width, height)


def _pixels(box: Box, size: tuple[int, int]) -> Box:
    x, y, width, height = box
    left, top = max(0.0, (x - width / 2) * size[0]), max(0.0, (y - height / 2) * size[1])
    return left, top, min(width * size[0], size[0] - left), min(height * size[1], size[1] - top)


def _no_orphans(images: dict[Path, Any], config: Path) -> None:
    expected = {_label_file(path, config) for path in images}
    for folder in sorted({path.parent for path in expected}):
        for path in sorted(folder.glob("*.txt")):
            if path not in expected and path.name != "classes.txt":
                raise UserError(f"{path}: a label file without an image; remove it or add the image")
