"""A data set of the Hugging Face hub or of ModelScope, or a folder in their layout, read by the library `datasets`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, DatasetBuilder, Image, List, Value, load_dataset, load_dataset_builder

from diffaug.dataset.records import SPLITS
from diffaug.params.download import Hub, HubBoxes, HubLabels
from diffaug.runtime.errors import UserError
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.image_files import number
from diffaug.sources.labelled import Item, Labelled, Object
from diffaug.sources.modelscope_sets import fetch_config
from diffaug.sources.real import Inputs


def find_cls(source: HubLabels, inputs: Inputs) -> Labelled:
    """Images with a class label. Raises UserError if the set cannot be loaded, or a column is missing."""
    tables = _tables(source, inputs.work, "cls", [source.label])
    names, numbers = _names(source, tables, "label", lambda table: table.features[source.label], _column(source.label))
    items: list[Item] = []
    faults: list[Fault] = []
    for split, table in tables.items():
        groups = _groups(source, split, table)
        for row, label in enumerate(table[source.label]):
            where = f"{source.name}, {_there(source, split)} row {row}"
            if label in numbers:
                items.append(_item(source, split, table, row, where, label=numbers[label], group=groups[row]))
            else:
                text = f"{where}: label {label!r} is unknown, allowed are {', '.join(names)}"
                faults.append(Fault(Kind.UNKNOWN_LABEL, text))
    return Labelled(names, tuple(items), frozenset(tables), tuple(faults), layout=f"data set {source.name}")


def find_det(source: HubBoxes, inputs: Inputs) -> Labelled:
    """Images with `bbox` (x, y, width, height in pixels) and `category` in the column `objects`.

    Raises UserError if the set cannot be loaded, or a column is missing.
    """
    tables = _tables(source, inputs.work, "det", [source.objects])
    names, numbers = _names(
        source, tables, "category", partial(_category_feature, source), partial(_categories, source.objects)
    )
    items: list[Item] = []
    faults: list[Fault] = []
    for split, table in tables.items():
        groups = _groups(source, split, table)
        for row, objects in enumerate(table[source.objects]):
            where = f"{source.name}, {_there(source, split)} row {row}"
            found = [
                _object(f"{where}, object {index}", box, category, numbers)
                for index, (box, category) in enumerate(_pairs(objects, where))
            ]
            faults += [thing for thing in found if isinstance(thing, Fault)]
            sound = tuple(thing for thing in found if isinstance(thing, Object))
            items.append(_item(source, split, table, row, where, objects=sound, group=groups[row]))
    return Labelled(names, tuple(items), frozenset(tables), tuple(faults), layout=f"data set {source.name}")


def _groups(params: Hub, split: str, table: Dataset) -> list[Any]:
    """For each row, the column of groups and its value. Raises UserError if a row has none."""
    if params.group is None:
        return [None] * len(table)
    values = table[params.group]
    for row, value in enumerate(values):
        if value is None or isinstance(value, (list, dict)):
            raise UserError(
                f"{params.name}, {_there(params, split)} row {row}: {params.group} is {value!r}; a group must be a "
                "text or a number"
            )
    return [((params.group, str(value)),) for value in values]


def _tables(params: Hub, cache: Path, task: str, columns: Sequence[str]) -> dict[str, Dataset]:
    """The tables by our split names, images not decoded."""
    if params.on_disk:
        place = str(Path(params.name).expanduser())
        if not Path(place).is_dir():
            raise UserError(f"download.{task}.name: the folder {params.name} does not exist; name an existing folder")
    else:
        place = str(fetch_config(params, f"download.{task}")) if params.hub == "modelscope" else params.name
    tables = {}
    for split in SPLITS:
        there = getattr(params.splits, split)
        if there is not None:
            tables[split] = _load(params, place, there, cache, task)
    for table in tables.values():
        _check_columns(params, table, task, columns)
    return {split: table.cast_column(params.image, Image(decode=False)) for split, table in tables.items()}


def open_builder(params: Hub, place: str, work: Path, task: str) -> DatasetBuilder:
    """What `datasets` makes the tables of the set with, its files not yet downloaded. Raises UserError."""
    with loading(params, task):
        return load_dataset_builder(place, params.config, revision=_revision(params), cache_dir=str(work / "hf"))


def _load(params: Hub, place: str, there: str, cache: Path, task: str) -> Dataset:
    with loading(params, task, f", split {there!r},"):
        return load_dataset(
            place,
            params.config,
            revision=_revision(params),
            split=there,
            streaming=False,
            cache_dir=str(cache / "hf"),
        )


@contextmanager
def loading(params: Hub, task: str, what: str = "") -> Iterator[None]:
    """Turns every error of `datasets` and of the hub inside into a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # `datasets` passes on all errors of its builders, pyarrow and the hub
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"download.{task}: {params.name}{what} cannot be loaded ({reason[:300]}); correct name, config "
            "or splits, or connect to the internet"
        ) from None


def _revision(params: Hub) -> str | None:
    """The commit on the Hugging Face hub; a set of ModelScope is by now a folder."""
    return None if params.hub == "modelscope" else params.revision


def _check_columns(params: Hub, table: Dataset, task: str, columns: Sequence[str]) -> None:
    for column in (params.image, *columns, *([params.group] if params.group else [])):
        if column not in table.features:
            raise UserError(
                f"download.{task}: {params.name} has no column {column!r}; it has {', '.join(table.features)}"
            )
    if not isinstance(table.features[params.image], Image):
        images = [name for name, feature in table.features.items() if isinstance(feature, Image)]
        raise UserError(
            f"download.{task}.image: the column {params.image!r} of {params.name} has no images; "
            f"columns with images: {', '.join(images) or 'none'}"
        )


def _names(
    params: Hub,
    tables: dict[str, Dataset],
    key: str,
    feature_of: Callable[[Dataset], Any],
    values: Callable[[Dataset], set[Any]],
) -> tuple[tuple[str, ...], dict[Any, int]]:
    """Class names, and the class number of every value: as the set names its numbers, or sorted if they are words."""
    feature = feature_of(tables["train"])
    for split, table in tables.items():
        if feature_of(table) != feature:
            raise UserError(f"{params.name}: {key} of {_there(params, split)} has other classes than that of train")
    if isinstance(feature, ClassLabel):
        return tuple(feature.names), {number: number for number in range(len(feature.names))}
    if isinstance(feature, Value) and feature.dtype in ("string", "large_string"):
        words = sorted(set().union(*(values(table) for table in tables.values())) - {None})
        return tuple(words), {word: number for number, word in enumerate(words)}
    raise UserError(f"{params.name}: {key} must be class labels with names, or words; found {feature}")


def _column(name: str) -> Callable[[Dataset], set[Any]]:
    return lambda table: set(table[name])


def _category_feature(params: HubBoxes, table: Dataset) -> Any:
    """The feature of one category, in a mapping of lists or a list of mappings."""
    feature = table.features[params.objects]
    inner = feature.feature if isinstance(feature, List) else feature
    missing = {"bbox", "category"} - set(inner if isinstance(inner, dict) else ())
    if missing:
        found = ", ".join(inner) if isinstance(inner, dict) else feature
        raise UserError(
            f"download.det.objects: {params.objects!r} of {params.name} needs bbox and category; found {found}"
        )
    category = inner["category"]
    return category.feature if isinstance(category, List) else category


def _categories(column: str, table: Dataset) -> set[Any]:
    return {category for objects in table[column] for _, category in _pairs(objects, column)}


def _pairs(objects: Any, where: str) -> list[tuple[Any, Any]]:
    if objects is None:
        return []
    if isinstance(objects, list):
        return [(thing["bbox"], thing["category"]) for thing in objects]
    boxes, categories = objects["bbox"] or [], objects["category"] or []
    if len(boxes) != len(categories):
        raise UserError(f"{where}: {len(boxes)} bbox but {len(categories)} category; correct the row")
    return list(zip(boxes, categories))


def _object(where: str, box: Any, category: Any, numbers: dict[Any, int]) -> Object | Fault:
    try:
        x, y, width, height = map(number, box)
    except (TypeError, ValueError):
        return Fault(Kind.BAD_ROW, f"{where}: bbox {box!r} is not [x, y, width, height] in numbers")
    if category not in numbers:
        return Fault(Kind.UNKNOWN_CLASS, f"{where}: category {category!r} is unknown, allowed are {sorted(numbers)}")
    return Object(where, numbers[category], (x, y, x + width, y + height), " ".join(f"{value:g}" for value in box))


def _item(params: Hub, split: str, table: Dataset, row: int, where: str, **labels: Any) -> Item:
    id = f"{_there(params, split)}/{row:06d}"
    return Item(id, split, partial(_bytes, table, params.image, row, where), where, where, **labels)


def _bytes(table: Dataset, column: str, row: int, where: str) -> bytes:
    cell = table[row][column]
    if cell is None:
        raise UserError(f"{where}: has no image; correct the row")
    data = cell["bytes"]
    if data is None and not (cell["path"] and Path(cell["path"]).is_file()):
        raise UserError(f"{where}: the image {cell['path']} does not exist; correct the row")
    return Path(cell["path"]).read_bytes() if data is None else data


def _there(params: Hub, split: str) -> str:
    return str(getattr(params.splits, split))
