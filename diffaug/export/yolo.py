"""Writes an image set as a YOLO folder."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from diffaug.dataset.records import ImageSet
from diffaug.export.folders import file_name


def write_yolo(images: ImageSet, folder: Path, split: str) -> None:
    """Write FOLDER/images/SPLIT/* and FOLDER/labels/SPLIT/*.txt: class, centre x, y, width, height as fractions."""
    for kind in ("images", "labels"):
        shutil.rmtree(folder / kind / split, ignore_errors=True)
        (folder / kind / split).mkdir(parents=True)
    for number, record in enumerate(images):
        name = file_name(number, record)
        (folder / "images" / split / name).write_bytes(record.image)
        width, height = record.size
        rows = [
            f"{category} {(x + w / 2) / width:.8f} {(y + h / 2) / height:.8f} {w / width:.8f} {h / height:.8f}\n"
            for category, (x, y, w, h) in zip(record.category, record.bbox)
        ]
        (folder / "labels" / split / name).with_suffix(".txt").write_text("".join(rows), encoding="utf-8")


def write_data_yaml(folder: Path, names: tuple[str, ...], splits: Mapping[str, str]) -> Path:
    """Write FOLDER/data.yaml for Ultralytics, and return its path; `splits`: from each of its splits to ours.

    It has no `path`, so that the folder can be moved: without `path`, Ultralytics starts from the file's own folder.
    """
    content = {
        **{key: f"images/{split}" for key, split in splits.items()},
        "names": dict(enumerate(names)),
    }
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path
