"""Images and labels in folders of any name, case and depth, with boxes worked out by hand."""

import json
from pathlib import Path

import pytest
from photos import Photo, coco_content, fault, read, voc_xml

from diffaug.sources.real import RealData

NAMES = ("cat", "dog")
# class, left, top, right, bottom; the last one is a negative.
PHOTOS = tuple(
    Photo(
        f"p{n:03d}",
        "train",
        (40, 20),
        ((n % 2, 4, 2, 20, 12),) if n < 10 else (),
    )
    for n in range(11)
)
BOX = (4.0, 2.0, 16.0, 10.0)
ROW = "{} 0.300000 0.350000 0.400000 0.500000\n"  # the same box: (4 + 20) / 2 / 40, (2 + 12) / 2 / 20, 16 / 40, 10 / 20


def write(root: Path, images: str, labels: str, suffix: str) -> None:
    """The photographs in `images`, their labels in `labels`; {} is the split, a third of them are test."""
    for number, photo in enumerate(PHOTOS):
        split = "test" if number % 3 == 2 else "train"
        photo.save(root / images.format(split) / f"{photo.name}.png")
        label = root / labels.format(split) / f"{photo.name}{suffix}"
        label.parent.mkdir(parents=True, exist_ok=True)
        if photo.boxes:
            text = ROW.format(photo.boxes[0][0]) if suffix.lower() == ".txt" else voc_xml(photo)
            label.write_text(text, encoding="utf-8")


def check(data: RealData, given: bool) -> None:
    """All photographs with their boxes; the split of test, if it is given."""
    assert data.names == NAMES
    records = {Path(record.id).stem: record for split in data.splits.values() for record in split}
    assert len(records) == 11
    for number, photo in enumerate(PHOTOS):
        record = records[photo.name]
        assert [tuple(map(round, box)) for box in record.bbox] == ([BOX] if photo.boxes else [])
        assert record.category == ((number % 2,) if photo.boxes else ())
        if given:
            assert (record.split == "test") == (number % 3 == 2)


PLACES = [
    ("IMAGES", "ANNOTATIONS", False),
    ("images", "annots", False),
    ("images", "annotations", False),
    ("JPEGImages", "Annotations", False),
    ("img", "xml", False),
    ("Fotos/alle", "Fotos/Rahmen/fertig", False),
    ("all", "all", False),
    ("{}/images", "{}/labels", True),
    ("images/{}", "labels/{}", True),
    ("data/{}", "data/{}", True),
    ("{}ing/Images", "annots", True),
]


@pytest.mark.parametrize("suffix", [".xml", ".XML", ".txt", ".TXT"])
@pytest.mark.parametrize(("images", "labels", "given"), PLACES)
def test_folders_of_any_name(tmp_path: Path, images: str, labels: str, given: bool, suffix: str) -> None:
    write(tmp_path, images, labels, suffix)
    if suffix.lower() == ".txt":
        (tmp_path / labels.format("train") / "classes.txt").write_text("cat\ndog\n")
    check(read(tmp_path), given)


@pytest.mark.parametrize("name", ["classes.txt", "obj.names", "darknet/voc.names"])
def test_yolo_without_a_data_yaml_needs_a_list_of_classes(tmp_path: Path, name: str) -> None:
    write(tmp_path, "images", "labels", ".txt")
    assert "has text files of boxes, but no class names; add a classes.txt" in fault(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("cat\ndog\n")
    check(read(tmp_path), False)
    (tmp_path / "labels/classes.txt").write_text("cat\n")
    if name != "classes.txt":
        assert "list different classes; leave one of them" in fault(tmp_path)


def test_a_data_yaml_of_names_alone(tmp_path: Path) -> None:
    write(tmp_path, "{}/images", "{}/labels", ".txt")
    (tmp_path / "data.yaml").write_text("nc: 2\nnames: [cat, dog]\n")
    check(read(tmp_path), True)


def test_the_lists_of_darknet_give_the_splits(tmp_path: Path) -> None:
    write(tmp_path, "obj_train_data", "obj_train_data", ".txt")
    (tmp_path / "obj.names").write_text("cat\ndog\n")
    (tmp_path / "obj.data").write_text("classes = 2\ntrain = data/train.txt\n")
    for split, numbers in {"train": [n for n in range(11) if n % 3 != 2], "Test": [2, 5, 8]}.items():
        lines = [f"data/obj_train_data/p{number:03d}.png" for number in numbers]
        (tmp_path / f"{split}.txt").write_text("\n".join(lines))
    check(read(tmp_path), True)


@pytest.mark.parametrize(("images", "labels"), [("train/0", "train/1"), ("pictures", "marks/boxes.JSON")])
def test_coco_anywhere(tmp_path: Path, images: str, labels: str) -> None:
    for photo in PHOTOS:
        photo.save(tmp_path / images / "deep" / f"{photo.name}.png")
    path = tmp_path / (labels if labels.endswith("JSON") else f"{labels}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(coco_content(PHOTOS)))
    check(read(tmp_path), False)


def test_names_that_repeat_are_paired_by_their_folders(tmp_path: Path) -> None:
    for part, split in enumerate(("train", "val", "test")):
        for number in range(4):
            category = (number + part) % 2
            photo = Photo(f"p{number:03d}", split, (40 + part, 20), ((category, 4, 2, 20, 12),))
            photo.save(tmp_path / "IMAGES" / split / f"{photo.name}.png")
            label = tmp_path / "ANNOTATIONS" / split / f"{photo.name}.xml"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(voc_xml(photo), encoding="utf-8")
    (tmp_path / "ANNOTATIONS/train/p003.xml").unlink()  # a negative, and not the pair of another split's label
    data = read(tmp_path)
    for part, split in enumerate(("train", "val", "test")):
        expected = [((number + part) % 2,) for number in range(4)]
        expected[3:] = [()] if split == "train" else expected[3:]
        assert [record.category for record in data.splits[split]] == expected


def test_two_images_of_one_label_file_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "images", "annots", ".xml")
    PHOTOS[0].save(tmp_path / "masks/p000.png")
    message = fault(tmp_path)
    assert "p000.png has the same name, and so the same label file" in message
    assert message.endswith("rename one, or name the folder of the images with download.det.images")
    check(read(tmp_path, images="images"), False)


def test_two_label_files_of_one_image_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "images", "annots", ".xml")
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup/p001.xml").write_text(voc_xml(PHOTOS[0]), encoding="utf-8")
    assert "name the folder of the labels with download.det.labels" in fault(tmp_path)
    check(read(tmp_path, labels="annots"), False)


def test_the_masks_of_voc_are_no_photographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "JPEGImages", "Annotations", ".xml")
    PHOTOS[0].save(tmp_path / "SegmentationClass/p000.png")
    check(read(tmp_path), False)
    assert "1 images are in no JPEGImages: " in capsys.readouterr().out


@pytest.mark.parametrize("absolute", [False, True])
def test_images_and_labels_that_are_named(tmp_path: Path, absolute: bool) -> None:
    write(tmp_path / "set", "a/x", "b", ".txt")
    PHOTOS[0].save(tmp_path / "set/old/p000.png")
    (tmp_path / "set/classes.txt").write_text("cat\ndog\n")
    before = f"{tmp_path}/set/" if absolute else ""
    data = read(tmp_path / "set", images=f"{before}a/x", labels=f"{before}b")
    check(data, False)
    assert {record.id for split in data.splits.values() for record in split} == {f"a/x/{p.name}.png" for p in PHOTOS}
    message = fault(tmp_path / "set", images="c")
    assert "download.det.images: c is not below" in message
    assert message.endswith("found .: 1 .txt; a/x: 11 .png; b: 10 .txt; old: 1 .png")


def test_images_elsewhere_have_ids_without_the_places_of_the_machine(tmp_path: Path) -> None:
    write(tmp_path, "far/away", "set/labels", ".xml")
    data = read(tmp_path / "set", images=str(tmp_path / "far/away"), labels="labels")
    check(data, False)
    assert {str(Path(record.id).parent) for split in data.splits.values() for record in split} == {"outside/away"}


def test_what_is_there_is_shown_where_no_boxes_are_found(tmp_path: Path) -> None:
    write(tmp_path, "images", "labels", ".xml")
    for path in (tmp_path / "labels").iterdir():
        path.rename(path.with_suffix(".csv"))
    assert fault(tmp_path).endswith("voc: XML files with <annotation>; found images: 11 .png; labels: 10 .csv")


def test_an_xml_of_another_tool_is_no_voc(tmp_path: Path) -> None:
    write(tmp_path, "images", "labels", ".xml")
    for path in (tmp_path / "labels").iterdir():
        path.unlink()
    (tmp_path / "annotations.xml").write_text("<annotations><image/></annotations>")
    assert "no boxes of a known format found" in fault(tmp_path)


def test_a_label_file_does_not_take_the_image_of_another_folder(tmp_path: Path) -> None:
    """The image 0 of batch a is missing; that of batch b is a negative without a label file."""
    for batch in "ab":
        write(tmp_path, f"{batch}/images", f"{batch}/labels", ".txt")
    (tmp_path / "a/images/p000.png").unlink()
    (tmp_path / "b/labels/p000.txt").unlink()
    (tmp_path / "classes.txt").write_text("cat\ndog\n", encoding="utf-8")
    assert fault(tmp_path).startswith(f"{tmp_path / 'a/labels/p000.txt'}: a label file without an image")
