"""From a folder of photographs to a verdict without an edit: five unlike layouts through `diffaug start` and `diffaug
preset`, with the minutes that were expected and those that it took.

python benchmarks/first_attempt.py OUT --cells FOLDER --pictures FILE.zip [--only LAYOUT] [--minutes M]

--cells: BCCD in Pascal VOC format (JPEGImages, Annotations); --pictures: CIFAR-10 as train/CLASS/*.jpg and
test/CLASS/*.jpg in a zip. OUT gets the layouts. --minutes: as of `diffaug start`.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from lxml import etree
from PIL import Image

from diffaug.runtime.work import work_folder

_COUNTS = (200, 100, 40, 20, 10)  # of five classes: 1 to 20


def uneven(out: Path, cells: Path, pictures: Path) -> list[Path]:
    """Training/CLASS and Testing/CLASS, the classes of 200 down to 10 images."""
    for folder, split, counts in (("Training", "train", _COUNTS), ("Testing", "test", (60,) * 5)):
        for name, images in _by_class(pictures, split, counts):
            _write(out / "Photos" / folder / name, images)
    return [out / "Photos"]


def flat(out: Path, cells: Path, pictures: Path) -> list[Path]:
    """CLASS folders alone, so the splits are drawn."""
    for name, images in _by_class(pictures, "train", (80,) * 10):
        _write(out / name.upper(), images)
    return [out]


def pages(out: Path, cells: Path, pictures: Path) -> list[Path]:
    """IMAGES and ANNOTATIONS (Pascal VOC without lists)."""
    shutil.copytree(cells / "JPEGImages", out / "IMAGES")
    shutil.copytree(cells / "Annotations", out / "ANNOTATIONS")
    return [out]


def coco(out: Path, cells: Path, pictures: Path) -> list[Path]:
    """annotations/train.json and val.json, images in one folder; no test split."""
    shutil.copytree(cells / "JPEGImages", out / "images")
    (out / "annotations").mkdir()
    photographs = sorted(_boxes(cells).items())
    names = sorted({name for _, (_, boxes) in photographs for name, *_ in boxes})
    for split, members in (
        ("train", photographs[::5] + photographs[1::5] + photographs[2::5]),
        ("val", photographs[3::5]),
    ):
        images, annotations = [], []
        for number, (stem, (size, boxes)) in enumerate(members, 1):
            images.append({"id": number, "file_name": f"{stem}.jpg", "width": size[0], "height": size[1]})
            for name, left, top, right, bottom in boxes:
                box = [left, top, right - left, bottom - top]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "bbox": box,
                        "iscrowd": 0,
                        "category_id": names.index(name) + 1,
                    }
                )
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        }
        (out / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return [out]


def both(out: Path, cells: Path, pictures: Path) -> list[Path]:
    """The same photographs in folders of two classes, with or without platelets, and their boxes elsewhere, as YOLO."""
    photographs = _boxes(cells)
    names = sorted({name for _, boxes in photographs.values() for name, *_ in boxes})
    (out / "labels").mkdir(parents=True)
    (out / "labels/classes.txt").write_text("\n".join(names) + "\n")
    for stem, (size, boxes) in photographs.items():
        kind = "platelets" if any(name == "Platelets" for name, *_ in boxes) else "none"
        (out / "photos" / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(cells / "JPEGImages" / f"{stem}.jpg", out / "photos" / kind)
        rows = [
            f"{names.index(name)} {(left + right) / 2 / size[0]:.6f} {(top + bottom) / 2 / size[1]:.6f} "
            f"{(right - left) / size[0]:.6f} {(bottom - top) / size[1]:.6f}\n"
            for name, left, top, right, bottom in boxes
        ]
        (out / "labels" / f"{stem}.txt").write_text("".join(rows))
    return [out / "photos", out / "labels"]


LAYOUTS: dict[str, Callable[[Path, Path, Path], list[Path]]] = {
    one.__name__: one for one in (uneven, flat, pages, coco, both)
}


def _by_class(pictures: Path, split: str, counts: tuple[int, ...]) -> Iterator[tuple[str, list[bytes]]]:
    with zipfile.ZipFile(pictures) as archive:
        files = sorted(name for name in archive.namelist() if name.startswith(f"{split}/") and name.endswith(".jpg"))
        names = sorted({name.split("/")[1] for name in files})
        for name, count in zip(names, counts):
            yield name, [archive.read(one) for one in files if one.split("/")[1] == name][:count]


def _write(folder: Path, images: list[bytes]) -> None:
    folder.mkdir(parents=True)
    for number, data in enumerate(images):
        (folder / f"{number:04d}.jpg").write_bytes(data)


def _boxes(cells: Path) -> dict[str, tuple[tuple[int, int], list[tuple[str, float, float, float, float]]]]:
    """By photograph, its size and its boxes with an area: class, left, top, right, bottom."""
    found = {}
    for path in sorted((cells / "Annotations").glob("*.xml")):
        with Image.open(cells / "JPEGImages" / f"{path.stem}.jpg") as image:
            size = image.size
        boxes = []
        for thing in etree.parse(path).iter("object"):
            left, top, right, bottom = (
                float(thing.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")
            )
            left, top, right, bottom = max(0, left - 1), max(0, top - 1), min(right, size[0]), min(bottom, size[1])
            if right > left and bottom > top:
                boxes.append((thing.findtext("name"), left, top, right, bottom))
        found[path.stem] = (size, list(dict.fromkeys(boxes)))
    return found


def attempt(name: str, paths: list[Path], minutes: float | None) -> str:
    """One layout: a row of the table."""
    diffaug = [sys.executable, "-m", "diffaug.commands.main"]
    preset = work_folder("first_attempt") / f"own-{name}.yaml"
    preset.parent.mkdir(parents=True, exist_ok=True)
    preset.unlink(missing_ok=True)
    limit = ["--minutes", str(minutes)] if minutes else []
    subprocess.run([*diffaug, "start", *map(str, paths), "--out", str(preset), *limit], check=True)
    said = re.search(r"about ([\d.]+) (minutes|hours)", preset.read_text(encoding="utf-8").replace("\n# ", " "))
    assert said is not None
    expected = float(said[1]) * (60 if said[2] == "hours" else 1)
    start = time.perf_counter()
    subprocess.run([*diffaug, "preset", str(preset)], check=True)
    took = (time.perf_counter() - start) / 60
    return f"| {name} | {expected:.0f} | {took:.1f} | {took / expected:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cells", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--only", choices=LAYOUTS)
    parser.add_argument("--minutes", type=float)
    arguments = parser.parse_args()
    print("| layout | expected minutes | minutes | ratio |\n|---|---|---|---|", flush=True)
    for name, lay_out in LAYOUTS.items():
        if arguments.only in (None, name):
            folder = arguments.out / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            print(attempt(name, lay_out(folder, arguments.cells, arguments.pictures), arguments.minutes), flush=True)


if __name__ == "__main__":
    main()
