"""A small data set of boxes, written in three formats with code independent of the project's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from diffaug.params.download import BoxFolder
from diffaug.runtime.errors import UserError
from diffaug.sources.box_folder import box_folder
from diffaug.sources.placing import to_real_data
from diffaug.sources.real import RealData

NAMES = ("cat", "dog", "狗")
Box = tuple[int, int, int, int, int]  # class, left, top, right, bottom in pixels from the top left


@dataclass(frozen=True)
class Photo:
    """An image with its boxes drawn into it."""

    name: str
    split: str
    size: tuple[int, int]
    boxes: tuple[Box, ...]

    def save(self, path: Path) -> None:
        """Write the image; all images differ."""
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", self.size, (int(self.name[-3:]), 90, 60))
        pen = ImageDraw.Draw(image)
        for category, left, top, right, bottom in self.boxes:
            pen.rectangle([left, top, right - 1, bottom - 1], fill=(250, 80 * category, 10))
        image.save(path)


# Computed by hand: see test_formats.TABLE.
FIRST = (
    Photo("p000", "train", (40, 20), ((0, 10, 5, 30, 15),)),
    Photo("p001", "train", (40, 20), ((1, 0, 0, 40, 20),)),
    Photo("p002", "train", (50, 30), ((2, 3, 7, 14, 22), (0, 20, 1, 50, 30))),
    Photo("p003", "train", (33, 21), ((1, 1, 1, 3, 3),)),
    Photo("p004", "val", (64, 48), ((0, 10, 20, 42, 47), (1, 10, 20, 41, 47), (2, 60, 40, 64, 48))),
    Photo("p005", "val", (64, 48), ()),
    Photo("p006", "test", (25, 75), ((2, 5, 10, 24, 70),)),
    Photo("p007", "test", (100, 10), ((0, 98, 8, 100, 10), (1, 0, 0, 2, 2))),
)


def two_hundred() -> list[Photo]:
    """The hand-made photos, and random ones up to 200: 120 train, 40 val, 40 test."""
    generator = np.random.default_rng(7)
    photos = list(FIRST)
    for number in range(len(FIRST), 200):
        split = ("train", "train", "train", "val", "test")[number % 5]
        width, height = (int(side) for side in generator.integers(24, 65, size=2))
        boxes = []
        for _ in range(int(generator.integers(0, 4))):
            left, top = int(generator.integers(width - 4)), int(generator.integers(height - 4))
            right, bottom = int(generator.integers(left + 2, width + 1)), int(generator.integers(top + 2, height + 1))
            boxes.append((int(generator.integers(3)), left, top, right, bottom))
        photos.append(Photo(f"p{number:03d}", split, (width, height), tuple(dict.fromkeys(boxes))))
    return photos


def write_yolo(root: Path, photos: Sequence[Photo]) -> Path:
    """images/SPLIT, labels/SPLIT and data.yaml; a negative has no label file."""
    for photo in photos:
        photo.save(root / "images" / photo.split / f"{photo.name}.png")
        width, height = photo.size
        rows = [
            f"{category} {(left + right) / 2 / width:.6f} {(top + bottom) / 2 / height:.6f} "
            f"{(right - left) / width:.6f} {(bottom - top) / height:.6f}"
            for category, left, top, right, bottom in photo.boxes
        ]
        label = root / "labels" / photo.split / f"{photo.name}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        if rows:
            label.write_text("\n".join(rows))
    splits = "".join(f"{split}: images/{split}\n" for split in dict.fromkeys(photo.split for photo in photos))
    (root / "data.yaml").write_text(f"{splits}names: [{', '.join(NAMES)}]\n", encoding="utf-8")
    return root


def coco_content(photos: Sequence[Photo], suffix: str = ".png") -> dict:
    """A COCO file's content; category ids are 3, 5 and 9."""
    annotations = [
        {"image_id": 100 + number, "category_id": (3, 5, 9)[category], "iscrowd": 0, "box": (left, top, right, bottom)}
        for number, photo in enumerate(photos)
        for category, left, top, right, bottom in photo.boxes
    ]
    for id, annotation in enumerate(annotations, 1):
        left, top, right, bottom = annotation.pop("box")
        annotation |= {"id": id, "bbox": [left, top, right - left, bottom - top]}
    images = [
        {"id": 100 + number, "file_name": f"{photo.name}{suffix}", "width": photo.size[0], "height": photo.size[1]}
        for number, photo in enumerate(photos)
    ]
    categories = [{"id": id, "name": name} for id, name in sorted(zip((9, 3, 5), (NAMES[2], NAMES[0], NAMES[1])))]
    return {"images": images, "annotations": annotations, "categories": categories[::-1]}


def write_coco(root: Path, photos: Sequence[Photo], images: str = "{split}2017") -> Path:
    """annotations/instances_SPLIT2017.json and the images in `images`."""
    (root / "annotations").mkdir(parents=True)
    for split in dict.fromkeys(photo.split for photo in photos):
        chosen = [photo for photo in photos if photo.split == split]
        for photo in chosen:
            photo.save(root / images.format(split=split) / f"{photo.name}.png")
        text = json.dumps(coco_content(chosen))
        (root / "annotations" / f"instances_{split}2017.json").write_text(text, encoding="utf-8")
    return root


def voc_xml(photo: Photo, first: int = 1) -> str:
    """A VOC file: object number n (from 0) begins in line 3 + 2 n."""
    objects = "".join(
        f"<object>\n<name>{NAMES[category]}</name><difficult>0</difficult><bndbox><xmin>{left + first}</xmin>"
        f"<ymin>{top + first}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>\n"
        for category, left, top, right, bottom in photo.boxes
    )
    width, height = photo.size
    return f"<annotation>\n<size><width>{width}</width><height>{height}</height></size>\n{objects}</annotation>\n"


def write_voc(root: Path, photos: Sequence[Photo], first: int = 1, lists: Mapping[str, str] | None = None) -> Path:
    """Annotations, JPEGImages and ImageSets/Main; `lists`: the name of each split's list; None: no lists."""
    lists = {split: split for split in ("train", "val", "test")} if lists is None else lists
    (root / "Annotations").mkdir(parents=True)
    (root / "ImageSets/Main").mkdir(parents=True)
    for photo in photos:
        photo.save(root / "JPEGImages" / f"{photo.name}.png")
        (root / "Annotations" / f"{photo.name}.xml").write_text(voc_xml(photo, first), encoding="utf-8")
    for split, name in lists.items():
        lines = [photo.name for photo in photos if photo.split == split]
        (root / "ImageSets/Main" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


WRITERS = {"yolo": write_yolo, "coco": write_coco, "voc": write_voc}


def read(root: Path, strict: bool = True, seed: int = 0, **extra: object) -> RealData:
    """The folder as `download` reads it."""
    params = BoxFolder(source="folder", path=str(root), val_fraction=0.2, test_fraction=0.2, **extra)
    return to_real_data(box_folder(params), params, seed, strict)


def fault(root: Path, **extra: object) -> str:
    """The error message of strict reading, which is one line."""
    try:
        read(root, **extra)
    except UserError as error:
        assert "\n" not in str(error)
        return str(error)
    raise AssertionError(f"{root}: no fault was found")


def without_ids(data: RealData) -> set[tuple[object, ...]]:
    """Split, image, boxes and classes of every record, without the ids."""
    return {
        (record.split, record.image, record.bbox, record.category)
        for records in data.splits.values()
        for record in records
    }
