"""Yes and no of difficult and iscrowd, as tools write them."""

import json
from pathlib import Path
from typing import Any

import pytest
from photos import Photo, fault, read, write_coco, write_voc

PHOTOS = tuple(
    Photo(f"p{n:03d}", ("train", "val", "test")[n // 4], (40, 20), ((0, 4, 2, 20, 12), (1, 8, 4, 30, 18)))
    for n in range(12)
)


def counts(root: Path, **how: Any) -> tuple[int, int, int]:
    """Boxes, boxes left out as difficult or crowd, boxes dropped."""
    data = read(root, **how)
    boxes = sum(len(record.bbox) for split in data.splits.values() for record in split)
    return boxes, data.dropped.kept_out, data.dropped.rows


def voc(root: Path, difficult: str) -> Path:
    """p000's first box has this flag."""
    page = write_voc(root, PHOTOS) / "Annotations/p000.xml"
    text = page.read_text(encoding="utf-8").replace("<difficult>0</difficult>", difficult, 1)
    page.write_text(text, encoding="utf-8")
    return root


def coco(root: Path, crowd: Any) -> Path:
    """Annotation 1 has this flag."""
    page = write_coco(root, PHOTOS) / "annotations/instances_train2017.json"
    content = json.loads(page.read_text())
    content["annotations"][0]["iscrowd"] = crowd
    page.write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("no", ["0", "0.0", "False", "false", "no", "No", "Unspecified", "", " 0 "])
def test_difficult_that_means_no(tmp_path: Path, no: str) -> None:
    assert counts(voc(tmp_path, f"<difficult>{no}</difficult>")) == (24, 0, 0)


def test_without_difficult(tmp_path: Path) -> None:
    assert counts(voc(tmp_path, "")) == (24, 0, 0)


@pytest.mark.parametrize("yes", ["1", "1.0", "True", "yes"])
def test_difficult_that_means_yes(tmp_path: Path, yes: str) -> None:
    assert counts(voc(tmp_path, f"<difficult>{yes}</difficult>")) == (23, 1, 0)


@pytest.mark.parametrize("text", ["2", "maybe", "-1"])
def test_difficult_that_means_neither_is_a_fault(tmp_path: Path, text: str) -> None:
    root = voc(tmp_path, f"<difficult>{text}</difficult>")
    assert f"p000.xml, line 3: difficult is {text!r}, which is neither yes (1) nor no (0); correct it" in fault(root)
    assert counts(root, strict=False) == (23, 0, 1)


@pytest.mark.parametrize("no", [0, 0.0, "0", "false", False, None, "", "no"])
def test_iscrowd_that_means_no(tmp_path: Path, no: Any) -> None:
    assert counts(coco(tmp_path, no)) == (24, 0, 0)


@pytest.mark.parametrize("yes", [1, 1.0, "1", True, "true"])
def test_iscrowd_that_means_yes(tmp_path: Path, yes: Any) -> None:
    assert counts(coco(tmp_path, yes)) == (23, 1, 0)


@pytest.mark.parametrize("value", [2, "maybe", [], {"a": 1}])
def test_iscrowd_that_means_neither_is_a_fault(tmp_path: Path, value: Any) -> None:
    root = coco(tmp_path, value)
    assert f"annotation 1: iscrowd is {value!r}, which is neither yes (1) nor no (0); correct it" in fault(root)
    assert counts(root, strict=False) == (23, 0, 1)
