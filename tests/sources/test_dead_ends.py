"""Files as tools write them, that ended a run: byte-order marks, lists that fit nothing, splits that repeat train."""

import json
from pathlib import Path

import pytest
from photos import Photo, fault, read, voc_xml, write_coco, write_voc, write_yolo

PHOTOS = tuple(Photo(f"p{n:03d}", "train" if n < 8 else "test", (40, 20), ((n % 2, 4, 2, 20, 12),)) for n in range(12))
MARK = "\ufeff"


def counts(root: Path) -> tuple[int, int, int]:
    """Images of train and val together, images of test, boxes."""
    data = read(root)
    boxes = sum(len(record.bbox) for split in data.splits.values() for record in split)
    return len(data.splits["train"]) + len(data.splits["val"]), len(data.splits["test"]), boxes


def test_byte_order_marks_of_yolo(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, PHOTOS)
    (root / "train.txt").write_text("\n".join(f"images/train/{photo.name}.png" for photo in PHOTOS[:8]))
    (root / "data.yaml").write_text("train: train.txt\ntest: images/test\nnames: [cat, dog]\n", encoding="utf-8")
    for path in [*root.rglob("*.txt"), root / "data.yaml"]:
        path.write_text(MARK + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert counts(root) == (8, 4, 12)


def test_byte_order_marks_of_classes(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, PHOTOS)
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text(f"{MARK}cat\ndog\n", encoding="utf-8")
    assert read(root).names == ("cat", "dog")


def test_byte_order_marks_of_voc(tmp_path: Path) -> None:
    root = write_voc(tmp_path, PHOTOS, lists={"train": "train", "test": "test"})
    for path in [*root.rglob("*.txt"), *root.rglob("*.xml")]:
        path.write_text(MARK + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert counts(root) == (8, 4, 12)


def test_byte_order_marks_of_coco(tmp_path: Path) -> None:
    root = write_coco(tmp_path, PHOTOS)
    for path in root.rglob("*.json"):
        path.write_text(MARK + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert counts(root) == (8, 4, 12)


def test_a_list_whose_lines_are_all_wrong_shows_the_first(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, PHOTOS)
    (root / "train.txt").write_text("pictures/a.png\npictures/b.png\n")
    (root / "data.yaml").write_text("train: train.txt\nnames: [cat, dog]\n")
    message = fault(root)
    assert "'train' has no images (" in message
    assert f"train.txt, line 1: the image {root / 'pictures/a.png'} does not exist); name a folder" in message


@pytest.mark.parametrize("again", ["images/train", "./images/train", "images/../images/train", "lists/train.txt"])
def test_val_that_repeats_train_counts_as_not_given(
    tmp_path: Path, again: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_yolo(tmp_path, PHOTOS)
    (root / "lists").mkdir()
    (root / "lists/train.txt").write_text("\n".join(f"images/train/{photo.name}.png" for photo in PHOTOS[:8]))
    (root / "data.yaml").write_text(f"train: images/train\nval: {again}\ntest: images/test\nnames: [cat, dog]\n")
    data = read(root)
    assert {split: len(records) for split, records in data.splits.items()} == {"train": 6, "val": 2, "test": 4}
    assert "'val' names the images of 'train', so it is ignored" in capsys.readouterr().out


def test_a_path_of_another_machine_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_yolo(tmp_path, PHOTOS)
    (root / "data.yaml").write_text("path: /kaggle/pets\n" + (root / "data.yaml").read_text(encoding="utf-8"))
    assert counts(root) == (8, 4, 12)
    assert "path /kaggle/pets does not exist, so its own folder is taken" in capsys.readouterr().out


def test_a_class_name_of_voc_is_text(tmp_path: Path) -> None:
    root = write_voc(tmp_path, PHOTOS)
    page = root / "Annotations/p001.xml"
    page.write_text(voc_xml(PHOTOS[1]).replace("dog", "12:30"), encoding="utf-8")
    assert read(root).names == ("12:30", "cat", "dog")


def test_key_points_beside_the_boxes_of_coco_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_coco(tmp_path, PHOTOS)
    content = json.loads((root / "annotations/instances_train2017.json").read_text())
    for name in ("person_keypoints_train2017", "person_keypoints_val2017"):
        (root / f"annotations/{name}.json").write_text(json.dumps(content))
    assert counts(root) == (8, 4, 12)
    text = "2 files are not read (no images, no labels), the first: "
    assert f"{text}{root / 'annotations/person_keypoints_train2017.json'}" in capsys.readouterr().out
