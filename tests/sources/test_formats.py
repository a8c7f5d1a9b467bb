"""The same photographs in YOLO, COCO and VOC give the same records, and can be written back."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from photos import (
    FIRST,
    NAMES,
    WRITERS,
    coco_content,
    fault,
    read,
    two_hundred,
    voc_xml,
    write_coco,
    write_voc,
    write_yolo,
)

from diffaug.commands.export import export_set
from diffaug.dataset.records import Record, write_set
from diffaug.sources.real import RealData, check_classes, check_disjoint

# name: split, then class, x, y, width, height in pixels, computed by hand from FIRST.
TABLE = {
    "p000": ("train", [("cat", 10, 5, 20, 10)]),
    "p001": ("train", [("dog", 0, 0, 40, 20)]),
    "p002": ("train", [("狗", 3, 7, 11, 15), ("cat", 20, 1, 30, 29)]),
    "p003": ("train", [("dog", 1, 1, 2, 2)]),
    "p004": ("val", [("cat", 10, 20, 32, 27), ("dog", 10, 20, 31, 27), ("狗", 60, 40, 4, 8)]),
    "p005": ("val", []),
    "p006": ("test", [("狗", 5, 10, 19, 60)]),
    "p007": ("test", [("cat", 98, 8, 2, 2), ("dog", 0, 0, 2, 2)]),
}


def by_stem(data: RealData) -> dict[str, Record]:
    return {Path(record.id).stem.rpartition("-")[2]: record for split in data.splits.values() for record in split}


def boxes(record: Record) -> list[tuple[float, ...]]:
    return sorted((float(category), *box) for category, box in zip(record.category, record.bbox))


def assert_same(left: RealData, right: RealData, within: float) -> None:
    one, other = by_stem(left), by_stem(right)
    assert one.keys() == other.keys()
    for stem, record in one.items():
        again = other[stem]
        assert (record.split, record.sha256, record.image) == (again.split, again.sha256, again.image)
        assert len(record.bbox) == len(again.bbox)
        if record.bbox:
            assert np.abs(np.array(boxes(record)) - np.array(boxes(again))).max() < within


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """200 photographs in each format."""
    root = tmp_path_factory.mktemp("folders")
    return {name: write(root / name, two_hundred()) for name, write in WRITERS.items()}


def test_the_same_photographs_are_the_same_records_in_all_formats(folders: dict[str, Path]) -> None:
    data = {name: read(folder) for name, folder in folders.items()}
    for one in data.values():
        assert one.names == NAMES
        assert {split: len(records) for split, records in one.splits.items()} == {"train": 118, "val": 41, "test": 41}
        check_classes(one, "here")
        check_disjoint(one.splits.items())
        assert_same(data["voc"], one, 0.5)
    truth = {photo.name: photo for photo in two_hundred()}
    for stem, record in by_stem(data["coco"]).items():
        rows = [(float(c), x, y, right - x, bottom - y) for c, x, y, right, bottom in truth[stem].boxes]
        assert boxes(record) == sorted(rows)


@pytest.mark.parametrize("name", WRITERS)
def test_rows_worked_out_by_hand(folders: dict[str, Path], name: str) -> None:
    records = by_stem(read(folders[name]))
    for stem, (split, rows) in TABLE.items():
        assert records[stem].split == split
        expected = sorted((float(NAMES.index(word)), *box) for word, *box in rows)
        assert len(boxes(records[stem])) == len(expected)
        for got, wanted in zip(boxes(records[stem]), expected):
            assert got == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(("format", "within"), [("yolo", 0.5), ("coco", 1e-3)])
def test_written_back_and_read_again_nothing_is_lost(
    folders: dict[str, Path], tmp_path: Path, format: str, within: float
) -> None:
    data = read(folders["voc"])
    for split in ("train", "val", "test"):
        write_set(tmp_path / "set" / split, data.names, data.splits[split])
        export_set(tmp_path / "set" / split, tmp_path / split, format)
    merge(tmp_path, format)
    assert_same(data, read(tmp_path / "all"), within)


def merge(root: Path, format: str) -> None:
    """The exports of three splits in one folder, as a user would combine them."""
    kinds = ["images", "labels"] if format == "yolo" else ["images", "annotations"]
    for split in ("train", "val", "test"):
        for kind in kinds:
            for path in (root / split / kind).rglob("*.*"):
                target = root / "all" / path.relative_to(root / split)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
    if format == "yolo":
        text = (root / "train/data.yaml").read_text(encoding="utf-8").splitlines()
        lines = ["train: images/train", "val: images/val", "test: images/test"]
        lines += [line for line in text if not line.startswith(("path", "train", "val"))]
        (root / "all/data.yaml").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize("images", ["{split}", "images/{split}2017", "images/{split}", "images"])
def test_where_coco_images_may_lie(tmp_path: Path, images: str) -> None:
    assert_same(read(write_yolo(tmp_path / "yolo", FIRST)), read(write_coco(tmp_path / "coco", FIRST, images)), 0.01)


def roboflow_coco(root: Path) -> Path:
    for split, folder in {"train": "train", "val": "valid", "test": "test"}.items():
        chosen = [photo for photo in FIRST if photo.split == split]
        content = coco_content(chosen)
        content["categories"].append({"id": 0, "name": "animals", "supercategory": "none"})
        for photo in chosen:
            photo.save(root / folder / f"{photo.name}.png")
        (root / folder / "_annotations.coco.json").write_text(json.dumps(content), encoding="utf-8")
    return root


def roboflow_voc(root: Path) -> Path:
    for photo in FIRST:
        folder = root / photo.split.replace("val", "valid")
        photo.save(folder / f"{photo.name}.png")
        if photo.boxes:
            (folder / f"{photo.name}.xml").write_text(voc_xml(photo), encoding="utf-8")
    return root


@pytest.mark.parametrize("write", [roboflow_coco, roboflow_voc])
def test_roboflows_layouts(tmp_path: Path, write: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]) -> None:
    data = read(write(tmp_path / "here"))
    assert data.names == NAMES
    assert_same(read(write_yolo(tmp_path / "yolo", FIRST)), data, 0.01)
    assert ("categories left out, since they have no box: animals" in capsys.readouterr().out) == (
        write is roboflow_coco
    )


def test_a_single_json_is_split_by_fraction(tmp_path: Path) -> None:
    photos = two_hundred()[:60]
    for photo in photos:
        photo.save(tmp_path / "images" / f"{photo.name}.png")
    (tmp_path / "labels.json").write_text(json.dumps(coco_content(photos)), encoding="utf-8")
    data = read(tmp_path)
    assert data == read(tmp_path / "labels.json", format="coco")
    assert sum(map(len, data.splits.values())) == 60
    assert min(map(len, data.splits.values())) >= 10
    check_classes(data, "here")


def test_trainval_stands_in_for_train(tmp_path: Path) -> None:
    write_voc(tmp_path / "a", two_hundred(), lists={"train": "trainval", "test": "test"})
    data = read(tmp_path / "a")
    assert len(data.splits["test"]) == 41
    assert len(data.splits["train"]) + len(data.splits["val"]) == 118
    assert len(data.splits["val"]) in range(20, 29)


def test_images_that_no_list_names_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_voc(tmp_path, FIRST, lists={"train": "trainval", "test": "test"})
    assert "left out 2 images that no list of a split names" in (read(tmp_path), capsys.readouterr().out)[1]


def test_without_lists_all_is_drawn(tmp_path: Path) -> None:
    data = read(write_voc(tmp_path, two_hundred(), lists={}))
    assert sum(map(len, data.splits.values())) == 200
    assert min(map(len, data.splits.values())) >= 35


def test_labelimgs_single_folder(tmp_path: Path) -> None:
    for photo in two_hundred():
        photo.save(tmp_path / "mine" / f"{photo.name}.png")
        if photo.boxes:
            (tmp_path / f"mine/{photo.name}.xml").write_text(voc_xml(photo), encoding="utf-8")
    mine, classic = read(tmp_path / "mine"), read(write_voc(tmp_path / "voc", two_hundred(), lists={}))
    found, wanted = by_stem(mine), by_stem(classic)
    assert {stem: boxes(record) for stem, record in found.items()} == {
        stem: boxes(record) for stem, record in wanted.items()
    }
    assert min(map(len, mine.splits.values())) >= 35


def test_a_zero_makes_voc_0_based(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With first=0 the files have left, top, right, bottom unchanged."""
    write_voc(tmp_path / "zero", FIRST, first=0)
    assert_same(read(write_coco(tmp_path / "coco", FIRST)), read(tmp_path / "zero"), 1e-3)
    assert "boxes are read as 0-based edges, since a coordinate is 0 (" in capsys.readouterr().out


@pytest.mark.parametrize("before", ["a.rf.", "my photo "])
def test_names_with_dots_and_spaces(tmp_path: Path, before: str) -> None:
    photos = [replace(photo, name=f"{before}{photo.name}") for photo in FIRST]
    for write in WRITERS.values():
        root = write(tmp_path / write.__name__, photos)
        (root / f"Annotations/{before}p005.xml").unlink(missing_ok=True)  # a negative
        assert {split: len(records) for split, records in read(root).splits.items()} == {
            "train": 4,
            "val": 2,
            "test": 2,
        }


def test_several_formats_or_none_are_an_error_unless_named(tmp_path: Path) -> None:
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes/a.csv").touch()
    message = fault(tmp_path)
    assert "no boxes of a known format found, which needs yolo: a data.yaml, or text files of" in message
    assert message.endswith("voc: XML files with <annotation>; found boxes: 1 .csv")
    write_voc(tmp_path, FIRST)
    write_coco(tmp_path, FIRST)
    message = fault(tmp_path)
    assert "has files of several formats (coco, voc); choose one with download.det.format" in message
    assert_same(read(tmp_path, format="voc"), read(tmp_path, format="coco"), 1e-3)
    message = fault(tmp_path, format="yolo")
    assert "no boxes of a known format found, which needs yolo: a data.yaml, or text files" in message
    assert (
        "coco" not in message and "; found Annotations: 8 .xml; ImageSets/Main: 3 .txt; JPEGImages: 8 .png;" in message
    )
    assert "download.det.classes: is only for format voc" in fault(write_yolo(tmp_path / "y", FIRST), classes=["cat"])


def test_crowds_and_difficult_objects_are_kept_out_and_counted(tmp_path: Path) -> None:
    voc, coco = write_voc(tmp_path / "voc", FIRST), write_coco(tmp_path / "coco", FIRST)
    page = voc / "Annotations/p002.xml"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("<difficult>0", "<difficult>1", 1), encoding="utf-8")
    page = coco / "annotations/instances_train2017.json"
    page.write_text(page.read_text(encoding="utf-8").replace('"iscrowd": 0, "id": 3', '"iscrowd": 1, "id": 3'))
    for data in (read(voc), read(coco)):
        assert data.dropped.kept_out == 1
        assert by_stem(data)["p002"].bbox == ((20.0, 1.0, 30.0, 29.0),)
    assert_same(read(voc), read(coco), 1e-3)
