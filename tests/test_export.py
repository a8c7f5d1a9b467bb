from pathlib import Path

import yaml
from PIL import Image

from diffaug.export import write_data_yaml, write_image_folder, write_yolo
from diffaug.images import encode_png
from diffaug.params.data import Folder
from diffaug.records import ImageSet, make_record
from diffaug.sources.folder import yolo_folder

PIXELS = [encode_png(Image.new("L", (40, 20), shade)) for shade in range(4)]


def test_image_folder(tmp_path: Path) -> None:
    names = ("T-shirt/top", "狗")
    records = (make_record("train/x/1.jpg", PIXELS[0], "train", label=0), make_record("b", PIXELS[1], "train", label=1))
    write_image_folder(ImageSet(names, records), tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")) == [
        "T-shirt_top/000000-1.png",
        "狗/000001-b.png",
    ]
    assert (tmp_path / "狗/000001-b.png").read_bytes() == PIXELS[1]


def test_yolo_and_back(tmp_path: Path) -> None:
    boxes = [((10.0, 5.0, 20.0, 10.0),), ((0.0, 0.0, 40.0, 20.0), (1.0, 2.0, 3.0, 4.0)), ()]
    records = tuple(
        make_record(f"{index}", PIXELS[index], "train", bbox=box, category=tuple(range(len(box))))
        for index, box in enumerate(boxes)
    )
    for split in ("train", "val", "test"):
        write_yolo(ImageSet(("cat", "dog"), records), tmp_path, split)
    config = write_data_yaml(tmp_path, ("cat", "dog"), {split: split for split in ("train", "val", "test")})
    assert (tmp_path / "labels/train/000000-0.txt").read_text() == "0 0.50000000 0.50000000 0.50000000 0.50000000\n"
    assert (tmp_path / "labels/train/000002-2.txt").read_text() == ""
    assert yaml.safe_load(config.read_text())["names"] == {0: "cat", 1: "dog"}

    folder = Folder(source="folder", path=str(config), val_fraction=0.2, test_fraction=0.2)
    again = yolo_folder(folder, 0).splits["train"]
    for record, box in zip(again, boxes):
        assert len(record.bbox) == len(box)
        for got, wanted in zip(record.bbox, box):
            assert max(abs(a - b) for a, b in zip(got, wanted)) < 1e-4
