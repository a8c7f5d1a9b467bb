import json
from dataclasses import replace
from pathlib import Path

import photos
import pytest
import yaml
from PIL import Image
from ultralytics.data.utils import check_det_dataset

from diffaug.commands.export import export_set
from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record, write_set
from diffaug.export.coco import write_coco
from diffaug.export.folders import write_image_folder
from diffaug.export.yolo import write_data_yaml, write_yolo
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import seal
from diffaug.scoring.ledger import Entry, write_ledger

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

    again = photos.read(config, strict=False).splits["test"]  # the same images in three splits: only test keeps them
    for record, box in zip(again, boxes):
        assert len(record.bbox) == len(box)
        for got, wanted in zip(record.bbox, box):
            assert max(abs(a - b) for a, b in zip(got, wanted)) < 1e-4


def test_coco_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    box = (10.1, 5.0, 20.0, 10.5)
    records = (
        make_record("a/x.png", PIXELS[0], "val", bbox=(box, (0.0, 0.0, 1.0, 1.0)), category=(1, 0)),
        make_record("b", PIXELS[1], "val"),
    )
    for name in ("one", "two"):
        write_coco(ImageSet(("cat", "狗"), records), tmp_path / name, "val")
    first, second = (tmp_path / name / "annotations/instances_val.json" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    content = json.loads(first.read_text(encoding="utf-8"))
    assert content["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "狗"}]
    assert content["images"] == [
        {"id": 1, "file_name": "val-000000-x.png", "width": 40, "height": 20},
        {"id": 2, "file_name": "val-000001-b.png", "width": 40, "height": 20},
    ]
    assert content["annotations"][0] == {
        "id": 1,
        "image_id": 1,
        "category_id": 2,
        "bbox": [10.1, 5.0, 20.0, 10.5],
        "area": 210.0,
        "iscrowd": 0,
    }
    assert (tmp_path / "one/images/val-000001-b.png").read_bytes() == PIXELS[1]


@pytest.mark.parametrize(("labels", "format"), [(True, "coco"), (True, "yolo"), (False, "image_folder")])
def test_a_format_that_does_not_fit_is_refused(tmp_path: Path, labels: bool, format: str) -> None:
    columns = {"label": 0} if labels else {"bbox": ((0.0, 0.0, 4.0, 4.0),), "category": (0,)}
    write_set(tmp_path / "set", ("cat",), [make_record("a", PIXELS[0], "train", **columns)])
    with pytest.raises(UserError, match=f"which --format {format} cannot store; use"):
        export_set(tmp_path / "set", tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


def test_all_splits_of_a_task_are_read_back(tmp_path: Path) -> None:
    """`download` can read the folder that `export` writes, with the same splits."""
    for number, split in enumerate(("train", "val", "test")):
        record = make_record(split, PIXELS[number], split, bbox=((1.0, 2.0, 30.0, 10.0),), category=(number % 2,))
        write_set(tmp_path / "det" / split, ("cat", "dog"), [record])
    for format in ("yolo", "coco"):
        export_set(tmp_path / "det", tmp_path / format, format)
        again = photos.read(tmp_path / format)
        assert {split: [record.category for record in again.splits[split]] for split in again.splits} == {
            "train": [(0,)],
            "val": [(1,)],
            "test": [(0,)],
        }


def test_a_yolo_export_of_train_alone_claims_no_val(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It said `val: images/train`, so that a user measured on the training images. Read again, it is not yet split."""
    rows = [
        make_record(
            f"{n}", encode_png(Image.new("L", (40, 20), n)), "train", bbox=((1.0, 2.0, 9.0, 9.0),), category=(0,)
        )
        for n in range(30)
    ]
    write_set(tmp_path / "train", ("cat",), rows)
    export_set(tmp_path / "train", tmp_path / "out")
    assert yaml.safe_load((tmp_path / "out/data.yaml").read_text()) == {"train": "images/train", "names": {0: "cat"}}
    assert capsys.readouterr().out.startswith(
        f"{tmp_path / 'out/data.yaml'}: has no val, without which Ultralytics does not open it; export all splits"
    )
    again = photos.read(tmp_path / "out")
    assert sum(map(len, again.splits.values())) == 30 and all(map(len, again.splits.values()))


def test_splits_of_classes_are_folders(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_set(tmp_path / "cls" / split, ("cat",), [make_record(split, PIXELS[0], split, label=0)])
    export_set(tmp_path / "cls", tmp_path / "out")
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert found == ["train/cat/000000-train.png", "val/cat/000000-val.png"]


def test_a_yolo_folder_may_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ultralytics finds the images, also with a relative path."""
    for split in ("train", "val"):
        record = make_record("a", PIXELS[0], split, bbox=((0.0, 0.0, 4.0, 4.0),), category=(0,))
        write_set(tmp_path / "set" / split, ("cat",), [record])
    export_set(tmp_path / "set", tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path / "moved/data.yaml", Path("moved/data.yaml")):
        assert (
            Path(check_det_dataset(str(name), autodownload=False)["train"]).resolve() == tmp_path / "moved/images/train"
        )


@pytest.mark.parametrize("task", ["cls", "det"])
def test_what_the_filter_judged_stands_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    monkeypatch.chdir(tmp_path)
    columns = {"label": 0} if task == "cls" else {"bbox": ((0.0, 0.0, 4.0, 4.0),), "category": (0,)}
    write_set(
        Path(f"data/generated/{task}"), ("cat",), [make_record(id, PIXELS[0], "train", **columns) for id in "abc"]
    )
    reasons = {"a": "", "b": "too blurred", "c": ""}
    judged = Path(f"data/filtered/{task}")
    write_ledger(judged, [Entry(id, "cat", {}, reason) for id, reason in reasons.items()])
    seal(judged)
    export_set(judged, tmp_path / "out")
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    expected = ["kept/cat/000000-a.png", "kept/cat/000001-c.png", "too blurred/cat/000000-b.png"]
    if task == "det":
        expected = ["images/kept/000000-a.png", "images/kept/000001-c.png", "images/too blurred/000000-b.png"]
        assert yaml.safe_load((tmp_path / "out/data.yaml").read_text())["train"] == "images/kept"
    assert found == expected

    # A table from an untrusted source must not set a path on the disk; doubtful objects are grey as in training.
    hostile = [Entry("a", "cat", {}, str(tmp_path / "mine")), Entry("b", "cat", {}, "../.."), Entry("c", "cat", {}, "")]
    hostile[2] = replace(hostile[2], ignored=((10.0, 10.0, 5.0, 5.0),))
    (tmp_path / "mine").mkdir()
    write_ledger(judged, hostile)
    seal(judged)
    export_set(judged, tmp_path / "safe")
    assert (tmp_path / "mine").is_dir()
    assert sum(1 for _ in (tmp_path / "safe").rglob("*.png")) == 3
    (kept,) = (tmp_path / "safe").rglob("*-c.png")
    assert Image.open(kept).getpixel((12, 12)) != Image.open(kept).getpixel((30, 5))

    write_ledger(judged, [Entry("a", "cat", {}, "")])
    seal(judged)
    with pytest.raises(UserError, match=r"ledger\.csv: has no row for b, unlike data/generated/"):
        export_set(judged, tmp_path / "other")
