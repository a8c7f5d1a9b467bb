"""COCO files: the ground truth, and the results of a detector, checked row by row."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from diffaug.runtime.errors import UserError
from diffaug.sources.coco_files import open_file

_LARGEST = 1e9  # pixels: no picture is so wide; NaN and infinite values are not below it
_SHOWN = 10  # ids in a message
Id = int | str


@dataclass(frozen=True)
class Truth:
    """The ground truth. `rows`: by class, its objects as COCO rows, whose images are numbered from 1 and whose ids are
    not 0: pycocotools takes a match with an object 0 for none."""

    names: tuple[str, ...]
    images: int
    rows: Sequence[Sequence[dict[str, Any]]] = field(repr=False)
    categories: Mapping[Id, int] = field(repr=False)
    places: Mapping[Id, int] = field(repr=False)
    files: Mapping[str, Sequence[int]] = field(repr=False)

    def place(self, row: Mapping[str, Any]) -> int | None:
        """The image of a result, or None: by the name of its file, if both have names, since Ultralytics makes its ids
        of them; else, or where the truth has several files of that name, by image_id."""
        name, image = row.get("file_name"), row["image_id"]
        by_id = self.places.get(image) if type(image) in (int, str) else None
        if not self.files or not isinstance(name, str):
            return by_id
        named = self.files.get(_base(name), [])
        return named[0] if len(named) == 1 else by_id if by_id in named else None


@dataclass(frozen=True)
class Found:
    """The detections of one model: image int (D,) from 0, category int (D,), box float64 (D, 4) as xywh, score (D,)."""

    image: np.ndarray
    category: np.ndarray
    box: np.ndarray
    score: np.ndarray

    def rows(self, chosen: np.ndarray) -> list[dict[str, Any]]:
        """Those at these places as COCO rows."""
        columns = (one[chosen].tolist() for one in (self.image, self.category, self.box, self.score))
        return [
            {
                "id": int(number) + 1,
                "image_id": image + 1,
                "category_id": category,
                "bbox": box,
                "area": box[2] * box[3],
                "score": score,
            }
            for number, image, category, box, score in zip(chosen, *columns)
        ]


def read_truth(path: Path) -> Truth:
    """The COCO ground truth. Raises UserError if it is none, or at the first row that is wrong."""
    content = open_file(path, "").content
    images = _ids(path, "images", content["images"])
    categories = _ids(path, "categories", content["categories"])
    rows: list[list[dict[str, Any]]] = [[] for _ in categories]
    for number, row in enumerate(content["annotations"], 1):
        where = _where(path, "annotation", number, row)
        box = _box(where, row)
        image, category = row.get("image_id"), row.get("category_id")
        if type(image) not in (int, str) or image not in images:
            raise UserError(f"{where}: image_id {image!r} is not in `images`; correct it or remove the row")
        if type(category) not in (int, str) or category not in categories:
            raise UserError(f"{where}: category_id {category!r} is not in `categories`; correct it or remove the row")
        area = row.get("area", box[2] * box[3])
        if not _is_number(area) or area < 0:
            raise UserError(f"{where}: area is {area!r}; it must be a number of pixels, 0 or more")
        rows[categories[category]].append(
            {
                "id": number,
                "image_id": images[image] + 1,
                "category_id": categories[category],
                "bbox": box,
                "area": area,
                "iscrowd": int(bool(row.get("iscrowd", 0))),
            }
        )
    if all(row["iscrowd"] for of_class in rows for row in of_class):
        raise UserError(f"{path}: has no object outside crowd regions, so that no detector can be scored")
    names = _names(categories, content["categories"])
    return Truth(names, len(images), rows, categories, images, _by_file(content["images"], images))


def read_results(path: Path, truth: Truth) -> Found:
    """The detections of a COCO results file. Raises UserError if it is none, or at the first row that is wrong."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); export it again") from None
    if not isinstance(content, list):
        raise UserError(
            f"{path}: not a list of results with image_id, category_id, bbox and score; the ground truth belongs to "
            "--truth"
        )
    images, categories, boxes, scores = [], [], [], []
    for number, row in enumerate(content, 1):
        image, category, box, score = _result(_where(path, "result", number, row), row, truth)
        images.append(image)
        categories.append(category)
        boxes.append(box)
        scores.append(score)
    return Found(
        np.array(images, dtype=np.int64),
        np.array(categories, dtype=np.int64),
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(scores, dtype=np.float64),
    )


def _result(where: str, row: Mapping[str, Any], truth: Truth) -> tuple[int, int, list[float], float]:
    box = _box(where, row)
    missing = [name for name in ("image_id", "category_id", "score") if name not in row]
    if missing:
        raise UserError(f"{where}: has no {missing[0]}; a result has image_id, category_id, bbox and score")
    place, category, score = truth.place(row), row["category_id"], row["score"]
    if place is None:
        raise UserError(
            f"{where}: the truth has no such image (its ids: {_some(truth.places)}); use its ids and names of files"
        )
    if type(category) not in (int, str) or category not in truth.categories:
        raise UserError(
            f"{where}: category_id {category!r} is not in the truth (its ids: {_some(truth.categories)}); use its ids, "
            "not the numbers of the model's outputs"
        )
    if not _is_number(score) or not 0 <= score <= 1:
        raise UserError(f"{where}: score is {score!r}; it must be a number from 0 to 1")
    return place, truth.categories[category], box, score


def _where(path: Path, what: str, number: int, row: Any) -> str:
    """The place of a row in a message. Raises UserError if it is no row."""
    if not isinstance(row, dict):
        raise UserError(f"{path}: {what} {number} is {type(row).__name__}, not an object with named values")
    return f"{path}: {what} {number} (image_id {row.get('image_id')!r})"


def _box(where: str, row: Mapping[str, Any]) -> list[float]:
    box = row.get("bbox")
    if not box and "segmentation" in row:
        raise UserError(f"{where}: has a segmentation and no bbox; only boxes are compared: export them")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise UserError(f"{where}: bbox is {box!r}; it must be four finite numbers: x, y, width, height in pixels")
    if min(box[2:]) < 0:
        raise UserError(f"{where}: bbox is {box!r}; it must be x, y, width, height, none of the last two below 0")
    return box


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _LARGEST


def _ids(path: Path, what: str, rows: Sequence[Any]) -> dict[Id, int]:
    """The place of each id, in the order in which pycocotools takes them."""
    ids: list[Id] = []
    for number, row in enumerate(rows, 1):
        one = row.get("id") if isinstance(row, dict) else None
        if type(one) is not int and type(one) is not str:
            raise UserError(f"{path}: {what} {number}: id is {one!r}; it must be a whole number or a text")
        ids.append(one)
    twice = [one for one, count in Counter(ids).items() if count > 1]
    if twice:
        raise UserError(f"{path}: two of `{what}` have the id {twice[0]!r}; ids must differ")
    return {one: place for place, one in enumerate(sorted(ids, key=lambda one: (isinstance(one, str), one)))}


def _names(categories: Iterable[Id], rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of the classes; the id is added to one that has none of its own."""
    names = {row["id"]: name if isinstance(name := row.get("name"), str) else "class" for row in rows}
    count = Counter(names.values())
    return tuple(names[one] if count[names[one]] == 1 else f"{names[one]} (id {one})" for one in categories)


def _by_file(rows: Sequence[Mapping[str, Any]], images: Mapping[Id, int]) -> dict[str, list[int]]:
    """The images by the name of their file without folders."""
    files: dict[str, list[int]] = {}
    for row in rows:
        if isinstance(name := row.get("file_name"), str):
            files.setdefault(_base(name), []).append(images[row["id"]])
    return files


def _base(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name


def _some(ids: Iterable[Id]) -> str:
    shown = list(ids)
    more = ", ..." if len(shown) > _SHOWN else ""
    return f"{', '.join(map(repr, shown[:_SHOWN]))}{more}"
