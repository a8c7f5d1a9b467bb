"""Every fault in every format that can have it: the strict message, and what is dropped and counted otherwise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from photos import Photo, fault, read, write_coco, write_voc, write_yolo
from PIL import Image

from diffaug.runtime.errors import UserError
from diffaug.sources.real import RealData

# Four photographs per split; p000 has the boxes of lines 1 and 2 (VOC: 3 and 5), and in COCO annotations 1 and 2.
PHOTOS = tuple(
    Photo(f"p{number:03d}", ("train", "val", "test")[number // 4], (40, 20), ((0, 4, 2, 20, 12), (1, 8, 4, 30, 18)))
    for number in range(12)
)
ROWS, IMAGES = 24, 12
Edit = Callable[[Path], object]


def yolo_row(row: str, line: int = 2) -> Edit:
    """Replace a line of p000.txt by a row."""

    def edit(root: Path) -> None:
        path = root / "labels/train/p000.txt"
        rows = path.read_text().splitlines()
        rows[line - 1] = row
        path.write_text("\n".join(rows) + "\n")

    return edit


def voc_text(before: str, after: str) -> Edit:
    """Replace the last occurrence of a text in p000.xml."""

    def edit(root: Path) -> None:
        path = root / "Annotations/p000.xml"
        head, found, tail = path.read_text(encoding="utf-8").rpartition(before)
        assert found
        path.write_text(f"{head}{after}{tail}", encoding="utf-8")

    return edit


def coco_json(change: Callable[[dict[str, Any]], object]) -> Edit:
    """Change the content of instances_train2017.json."""

    def edit(root: Path) -> None:
        path = root / "annotations/instances_train2017.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return edit


def coco_second(**changes: Any) -> Edit:
    """Change annotation 2, which is the second of p000."""
    return coco_json(lambda content: content["annotations"][1].update(changes))


def remove(name: str) -> Edit:
    return lambda root: (root / name).unlink()


def damage(name: str) -> Edit:
    return lambda root: (root / name).write_bytes(b"no image")


def same_picture(source: str, target: str) -> Edit:
    return lambda root: Image.open(root / source).save(root / target)


def resize(name: str) -> Edit:
    return lambda root: Image.new("RGB", (41, 20), (1, 2, 3)).save(root / name)


def add(name: str, text: str) -> Edit:
    return lambda root: (root / name).write_text(text)


_YOLO, _VOC = r"labels/train/p000\.txt, line 2: ", r"Annotations/p000\.xml, line 5: "
_COCO = r"instances_train2017\.json, annotation 2: "
_PICTURE = {"yolo": "images/{}/{}.png", "voc": "JPEGImages/{1}.png", "coco": "{}2017/{}.png"}
# format, edit, a part of the strict message, dropped rows, dropped images
FAULTS = [
    ("yolo", yolo_row("0 a .5 .5 .5"), _YOLO + "'0 a .* is not 'class x y width height' in numbers", 1, 0),
    ("yolo", yolo_row("0 .5 .5 .5"), _YOLO + "has 4 values, expected 5", 1, 0),
    ("yolo", yolo_row("0 .1 .1 .2 .1 .2 .2"), _YOLO + "has 7 values, expected 5", 1, 0),
    ("yolo", yolo_row("0.5 .5 .5 .5 .5"), _YOLO + ".* is not 'class x y width height'", 1, 0),
    ("coco", coco_second(bbox=[1, 2, 3]), _COCO + r"bbox \[1, 2, 3\] is not \[x, y, width, height\]", 1, 0),
    ("coco", coco_second(bbox=["1", 2, 3, 4]), _COCO + r"bbox .* is not \[x, y, width, height\]", 1, 0),
    ("coco", coco_second(bbox=None), _COCO + "bbox None is not", 1, 0),
    ("voc", voc_text("<xmax>30</xmax>", ""), _VOC + "bndbox .* is not xmin, ymin, xmax, ymax in numbers", 1, 0),
    ("voc", voc_text("<xmax>30", "<xmax>wide"), _VOC + "bndbox '9 5 wide 18' is not", 1, 0),
    ("voc", voc_text("<name>dog</name>", ""), _VOC + "the object has no name", 1, 0),
    ("yolo", yolo_row("0 nan .5 .5 .5"), _YOLO + "the box nan .5 .5 .5 has a value that is not a finite number", 1, 0),
    ("yolo", yolo_row("0 .5 .5 inf .5"), _YOLO + ".* not a finite number", 1, 0),
    ("coco", coco_second(bbox=[float("nan"), 2, 3, 4]), _COCO + ".* not a finite number", 1, 0),
    ("coco", coco_second(bbox=[1, 2, float("inf"), 4]), _COCO + ".* not a finite number", 1, 0),
    ("voc", voc_text("<xmax>30", "<xmax>nan"), _VOC + ".* not a finite number", 1, 0),
    ("yolo", yolo_row("0 .5 .5 0 .5"), _YOLO + "the box .5 .5 0 .5 has no area", 1, 0),
    ("yolo", yolo_row("0 .5 .5 .5 -.5"), _YOLO + ".* has no area", 1, 0),
    ("coco", coco_second(bbox=[1, 2, 0, 4]), _COCO + "the box 1 2 0 4 has no area", 1, 0),
    ("coco", coco_second(bbox=[1, 2, 3, -4]), _COCO + ".* has no area", 1, 0),
    ("voc", voc_text("<xmax>30", "<xmax>9"), _VOC + "the box 9 5 9 18 has no area", 1, 0),
    ("voc", voc_text("<ymax>18", "<ymax>2"), _VOC + ".* has no area", 1, 0),
    (
        "yolo",
        yolo_row("0 .9 .5 .3 .5"),
        _YOLO + r".* leaves its image of 40 x 20 pixels by 2; up to 1 is clipped",
        1,
        0,
    ),
    ("coco", coco_second(bbox=[1, 2, 3, 20]), _COCO + ".* leaves its image of 40 x 20 pixels by 2;", 1, 0),
    ("voc", voc_text("<xmax>30", "<xmax>43"), _VOC + ".* leaves its image of 40 x 20 pixels by 3;", 1, 0),
    ("yolo", yolo_row("2 .5 .5 .5 .5"), _YOLO + "class 2 is unknown, allowed are 0 to 1", 1, 0),
    ("yolo", yolo_row("-1 .5 .5 .5 .5"), _YOLO + "class -1 is unknown", 1, 0),
    ("coco", coco_second(category_id=4), _COCO + r"category 4 is unknown, allowed are \[3, 5\]", 1, 0),
    ("yolo", add("labels/train/lost.txt", "0 .5 .5 .5 .5"), r"lost\.txt: a label file without an image", 0, 1),
    ("voc", add("Annotations/lost.xml", "<annotation/>"), r"lost\.xml: a label file without an image", 0, 1),
    ("voc", voc_text("<width>40", "<width>41"), r"p000\.xml: declares an image of 41 x 20 .* has 40 x 20", 0, 1),
    ("voc", resize("JPEGImages/p000.png"), r"p000\.xml: declares an image of 40 x 20 .* has 41 x 20", 0, 1),
    ("coco", resize("train2017/p000.png"), r"instances_train2017\.json, image 100: declares an image of", 0, 1),
    ("yolo", yolo_row("0 20 10 8 4"), _YOLO + ".* values above 1 look like pixels", 0, 1),
    ("coco", coco_second(bbox=[0.1, 0.2, 0.5, 0.5]), _COCO + ".* values up to 1 look like fractions", 0, 1),
    ("coco", coco_second(image_id=7), _COCO + "names the image 7, which the file does not have", 1, 0),
    ("coco", remove("train2017/p000.png"), r"json, image 100: p000\.png is neither in .*train2017", 0, 1),
    ("voc", remove("JPEGImages/p000.png"), r"train\.txt, line 1: there is no such image", 0, 1),
    ("coco", coco_json(lambda c: c["images"][0].pop("file_name")), "image 100: needs an id of its own and a", 0, 1),
    ("yolo", yolo_row("0 0.3 0.35 0.4 0.5"), _YOLO + "the box 0.3 0.35 0.4 0.5 occurs twice in its image", 1, 0),
    ("coco", coco_second(category_id=3, bbox=[4, 2, 16, 10]), _COCO + "the box 4 2 16 10 occurs twice", 1, 0),
    ("voc", lambda root: voc_twice(root), _VOC + "the box 5 3 20 12 occurs twice", 1, 0),
    ("voc", damage("Annotations/p000.xml"), r"p000\.xml: not readable as XML", 0, 1),
    ("voc", add("Annotations/p000.xml", "<html/>"), r"p000\.xml: has the root <html>, expected <annotation>", 0, 1),
    (
        "coco",
        coco_json(lambda c: c["images"][0].update(file_name="p001.png")),
        "p001.png is listed twice in train",
        0,
        1,
    ),
    ("yolo", lambda root: (root / "labels/train/p000.txt").write_bytes(b"\xff\xfe"), "p000.txt: not a text file", 0, 1),
    *[
        (name, damage(_PICTURE[name].format("train", "p000")), r"p000\.png: not a readable image", 0, 1)
        for name in _PICTURE
    ],
    *[
        (
            name,
            same_picture(picture.format(other, holder), picture.format(split, "p000" if split == "train" else "p004")),
            rf"the same image is in {split} \(.*\) and in {other} \(.*{holder}\.png\)",
            0,
            1,
        )
        for name, picture in _PICTURE.items()
        for split, other, holder in [("train", "val", "p004"), ("train", "test", "p008"), ("val", "test", "p008")]
    ],
]
WRITE = {"yolo": write_yolo, "coco": write_coco, "voc": write_voc}


def voc_twice(root: Path) -> None:
    path = root / "Annotations/p000.xml"
    head, first, second, tail = (text := path.read_text(encoding="utf-8").split("<object>"))[0], *text[1:], ""
    end = second.partition("</object>")[2]
    path.write_text(f"{head}<object>{first}<object>{first.partition('</object>')[0]}</object>{end}{tail}")


def write(format: str, root: Path) -> Path:
    """The photographs, of which COCO and VOC name two classes and YOLO three."""
    WRITE[format](root, PHOTOS)
    if format == "yolo":
        config = root / "data.yaml"
        config.write_text(config.read_text(encoding="utf-8").replace("[cat, dog, 狗]", "[cat, dog]"), encoding="utf-8")
    return root


def sizes(data: RealData) -> tuple[int, int]:
    records = [record for split in data.splits.values() for record in split]
    return sum(len(record.bbox) for record in records), len(records)


@pytest.mark.parametrize("format", WRITE)
def test_without_a_fault_nothing_is_dropped(tmp_path: Path, format: str) -> None:
    data = read(write(format, tmp_path))
    assert sizes(data) == (ROWS, IMAGES)
    assert (data.dropped.rows, data.dropped.images, data.dropped.kept_out) == (0, 0, 0)


@pytest.mark.parametrize(
    ("format", "edit", "words", "rows", "images"), FAULTS, ids=[f"{case[0]}-{n}" for n, case in enumerate(FAULTS)]
)
def test_a_fault(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    format: str,
    edit: Edit,
    words: str,
    rows: int,
    images: int,
) -> None:
    edit(write(format, tmp_path))
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(f"correct it, or set download.strict: false, which drops the {'row' if rows else 'image'}")
    data = read(tmp_path, strict=False)
    assert (data.dropped.rows, data.dropped.images) == (rows, images)
    in_listed = "without an image" not in words  # a label file without an image is not one of the 12
    assert sizes(data) == (ROWS - rows - 2 * images * in_listed, IMAGES - images * in_listed)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("download: dropped 1 ")]
    assert len(printed) == 1


def test_an_unknown_class_of_voc_where_classes_are_given(tmp_path: Path) -> None:
    write("voc", tmp_path)
    message = fault(tmp_path, classes=["cat"])
    assert r"p000.xml, line 5: class 'dog' is unknown, allowed are cat; and 11 more (11 x unknown class)" in message
    data = read(tmp_path, strict=False, classes=["cat"])
    assert (data.names, data.dropped.rows, sizes(data)) == (("cat",), 12, (12, 12))
    assert read(tmp_path, classes=["dog", "cat"]).names == ("dog", "cat")


@pytest.mark.parametrize("format", WRITE)
def test_one_pixel_over_the_edge_is_clipped(tmp_path: Path, format: str) -> None:
    edits = {
        "yolo": yolo_row("1 .6 .5 .825 .5"),
        "coco": coco_second(bbox=[7.5, 5, 33, 10]),
        "voc": voc_text("<xmax>30", "<xmax>40.5"),
    }
    edits[format](write(format, tmp_path))
    record = read(tmp_path).splits["train"][0]
    assert record.bbox[1][0] + record.bbox[1][2] == pytest.approx(40)
    assert record.bbox[1][0] == pytest.approx(8 if format == "voc" else 7.5)


def test_all_faults_are_counted_by_kind_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("yolo", tmp_path)
    yolo_row("0 .5 .5", 1)(tmp_path)
    yolo_row("7 .5 .5 .5 .5", 2)(tmp_path)
    damage("images/val/p004.png")(tmp_path)
    add("labels/train/lost.txt", "")(tmp_path)
    message = fault(tmp_path)
    assert "p000.txt, line 1: has 3 values" in message
    assert "and 3 more (1 x unknown class, 1 x label file without image, 1 x unreadable image)" in message
    data = read(tmp_path, strict=False)
    assert (data.dropped.rows, data.dropped.images) == (2, 2)
    assert len([line for line in capsys.readouterr().out.splitlines() if "dropped 1 " in line]) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not readable as JSON"),
        ("[]", "not a COCO file with the lists images, annotations, categories"),
        ('{"images": [], "annotations": [], "categories": [{"id": "1", "name": "a"}]}', "must have an integer id"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
            "has no annotations; detection needs boxes",
        ),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_a_json_that_makes_no_sense_is_always_an_error(tmp_path: Path, text: str, words: str, strict: bool) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_train.json").write_text(text)
    with pytest.raises(UserError, match=rf"instances_train\.json: .*{words}"):
        read(tmp_path, strict=strict)


def test_entities_of_xml_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("cat")
    write("voc", tmp_path)
    page = tmp_path / "Annotations/p000.xml"
    entity = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]>'
    page.write_text(entity + page.read_text(encoding="utf-8").replace("<name>cat</name>", "<name>&x;</name>"))
    assert "the object has no name" in fault(tmp_path)
