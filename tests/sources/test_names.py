"""Names of classes keep their spelling."""

import json
from pathlib import Path

import pytest
from paths import ROOT
from photos import Photo, coco_content, fault, read, write_yolo

from diffaug.params import load_params
from diffaug.runtime.yaml_files import read_yaml

SPELLED = ("02146", "yes", "no", "12:30", "1.10", "null")
PHOTOS = [Photo(f"p{n:03d}", "train", (40, 20), ((n % 6, 4, 2, 20, 12),)) for n in range(24)]


def yolo(root: Path, names: str) -> Path:
    for photo in PHOTOS:
        photo.save(root / f"images/{photo.name}.png")
        (root / "labels").mkdir(exist_ok=True)
        (root / f"labels/{photo.name}.txt").write_text(f"{photo.boxes[0][0]} 0.3 0.35 0.4 0.5\n")
    (root / "data.yaml").write_text(f"train: images\nnames: {names}\n")
    return root


@pytest.mark.parametrize(
    "names",
    [
        f"[{', '.join(SPELLED)}]",
        "".join(f"\n  - {name}" for name in SPELLED),
        "".join(f"\n  {number}: {name}" for number, name in enumerate(SPELLED)),
        "['02146', \"yes\", no, !!str 12:30, 1.10, null]",
    ],
)
def test_names_in_a_data_yaml(tmp_path: Path, names: str) -> None:
    assert read(yolo(tmp_path, names)).names == SPELLED


@pytest.mark.parametrize("names", ["[[a, b], c]", "[{a: 1}, b]", "{0: [a], 1: b}", "{0: {a: b}}", "{0: a, 2: b}"])
def test_lists_and_mappings_are_no_names(tmp_path: Path, names: str) -> None:
    assert "data.yaml: 'names' must list the classes, or number them from 0; found " in fault(yolo(tmp_path, names))


def test_only_names_keep_their_spelling_and_keys_do_everywhere(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("names: &n [no, 1]\nothers: [no, 1]\nagain: *n\n007: {no: 010, ~: null}\n")
    found = read_yaml(tmp_path / "p.yaml", spelled="names")
    assert found == {"names": ["no", "1"], "others": [False, 1], "again": ["no", "1"], "007": {"no": 8, "~": None}}


def test_classes_in_the_parameters(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    prompts = "".join(f"\n    {name}: {{prompt: 'a {{class}}'}}" for name in SPELLED)
    (tmp_path / "params.yaml").write_text(text.replace("\n  classes: {}", f"\n  classes:{prompts}"), encoding="utf-8")
    assert tuple(load_params(tmp_path / "params.yaml").generate.classes) == SPELLED


@pytest.mark.parametrize("name", [["a"], {"a": 1}, None, True, 1.5])
def test_a_coco_name_that_is_no_text_is_refused(tmp_path: Path, name: object) -> None:
    photos = [Photo(f"p{n:03d}", "train", (40, 20), ((n % 2, 4, 2, 20, 12),)) for n in range(6)]
    for photo in photos:
        photo.save(tmp_path / f"{photo.name}.png")
    content = coco_content(photos)
    content["categories"][0]["name"] = name
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    assert "a category must have an integer id and a name; found" in fault(tmp_path)


def test_a_class_of_a_data_yaml_without_a_box_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = [Photo(f"p{n:03d}", "train", (40, 20), ((2 * (n % 2), 4, 2, 20, 12),)) for n in range(12)]
    data = read(write_yolo(tmp_path, photos))
    assert data.names == ("cat", "狗")
    assert {record.category for split in data.splits.values() for record in split} == {(0,), (1,)}
    assert "data.yaml: classes left out, since they have no box: dog" in capsys.readouterr().out


def test_a_set_without_any_box_is_refused(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, [Photo(f"p{n:03d}", "train", (40, 20), ()) for n in range(6)])
    (root / "labels/train/p000.txt").write_text("")
    assert "data.yaml: no label file has a box" in fault(root)
    (root / "labels/train/p000.txt").write_text("9 .5 .5 .5 .5")
    assert "p000.txt, line 1: class 9 is unknown, allowed are 0 to 2" in fault(root)
