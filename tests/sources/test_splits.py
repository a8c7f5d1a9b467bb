"""The names of splits, and what lies beside a split, in all readers."""

import json
from collections import Counter
from pathlib import Path

import pytest
from photos import Photo, coco_content, fault, read, voc_xml, write_coco, write_voc, write_yolo
from PIL import Image

from diffaug.params.download import Folder
from diffaug.runtime.errors import UserError
from diffaug.sources.class_folders import class_folders
from diffaug.sources.placing import to_real_data
from diffaug.sources.real import RealData
from diffaug.sources.splits import split_of

NAMES = [
    *[("train", name) for name in ("train", "Training", "TRAIN", "train2017", "training_set", "train-images")],
    *[("val", name) for name in ("val", "Valid", "validation", "dev", "eval", "Evaluation", "val_data")],
    *[("test", name) for name in ("test", "Testing", "test_images", "TEST2")],
    *[(None, name) for name in ("trains", "contest", "set", "data", "holdout", "trainval", "", "2017")],
]
# 6 of train, 2 of val, 3 of test: each has a cat (class 0), every second one a dog.
PHOTOS = tuple(
    Photo(f"p{n:03d}", split, (40, 20), ((0, 4, 2, 20, 12), (1, 8, 4, 30, 18))[: 1 + n % 2])
    for n, split in enumerate(["train"] * 6 + ["val"] * 2 + ["test"] * 3)
)
COUNTS = {"train": 6, "val": 2, "test": 3}


def sizes(data: RealData) -> dict[str, int]:
    return {split: len(records) for split, records in data.splits.items()}


def images(folder: Path, count: int, first: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (8, 6), (first + number, 3, 9)).save(folder / f"{number}.png")


def cls(root: Path) -> RealData:
    params = Folder(source="folder", path=str(root), val_fraction=0.2, test_fraction=0.2)
    return to_real_data(class_folders(params), params, 0, True)


@pytest.mark.parametrize(("split", "name"), NAMES)
def test_the_names_of_splits(split: str | None, name: str) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize("folder", ["Training", "TRAIN", "training_set"])
@pytest.mark.parametrize("other", ["Testing", "Test", "testing"])
def test_class_folders_in_splits_of_any_name(tmp_path: Path, folder: str, other: str) -> None:
    for number, name in enumerate(("cat", "dog")):
        images(tmp_path / folder / name, 5, 100 * number)
        images(tmp_path / other / name, 3, 100 * number + 50)
    data = cls(tmp_path)
    assert (data.names, sizes(data)) == (("cat", "dog"), {"train": 8, "val": 2, "test": 6})


@pytest.mark.parametrize("other", ["Val", "dev", "eval", "evaluation"])
def test_eval_and_dev_are_val(tmp_path: Path, other: str) -> None:
    for number, name in enumerate(("cat", "dog")):
        images(tmp_path / "train" / name, 5, 100 * number)
        images(tmp_path / other / name, 3, 100 * number + 50)
    assert sizes(cls(tmp_path)) == {"train": 8, "val": 6, "test": 2}


def test_a_folder_beside_a_split_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        images(tmp_path / "train" / name, 5, 9 * len(name))
        images(tmp_path / "holdout" / name, 3, 50)
    with pytest.raises(
        UserError, match=r"holdout: has images and lies beside train, but is no name of a split; rename"
    ):
        cls(tmp_path)


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    for split in ("train", "val", "dev"):
        images(tmp_path / split / "cat", 3, 0)
    with pytest.raises(UserError, match=r"(dev and val|val and dev) both stand for val; join them, or rename one"):
        cls(tmp_path)


def test_what_holds_no_images_beside_a_split_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("cat", "dog")):
        images(tmp_path / "train" / name, 5, 100 * number)
    (tmp_path / "README.md").write_text("pets")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/list.csv").write_text("a,b")
    assert sizes(cls(tmp_path)) == {"train": 6, "val": 2, "test": 2}
    assert "2 files are not read (no images, no labels), the first: " in capsys.readouterr().out


def test_flat_split_folders_are_no_classes(tmp_path: Path) -> None:
    images(tmp_path / "train", 5, 0)
    images(tmp_path / "test", 5, 50)
    with pytest.raises(UserError, match="no class folders are in test, train, only images; sort these into class"):
        cls(tmp_path)


def test_a_folder_of_images_is_no_class(tmp_path: Path) -> None:
    for number, name in enumerate(("cat", "dog")):
        images(tmp_path / "images" / name, 5, 100 * number)
    images(tmp_path / "masks", 5, 50)
    with pytest.raises(UserError, match="'images' would be a class, beside masks; name the folder in which the class"):
        cls(tmp_path)


def test_images_in_no_folder_are_no_classes(tmp_path: Path) -> None:
    images(tmp_path, 5, 0)
    with pytest.raises(UserError, match="its images lie in no folders; sort them into one folder per class"):
        cls(tmp_path)


def test_train_is_a_class_beside_a_bus(tmp_path: Path) -> None:
    for number, name in enumerate(("bus", "train")):
        images(tmp_path / name, 5, 100 * number)
    assert cls(tmp_path).names == ("bus", "train")


def test_splits_below_classes_are_given(tmp_path: Path) -> None:
    for number, name in enumerate(("cat", "dog")):
        images(tmp_path / name / "train", 5, 100 * number)
        images(tmp_path / name / "Test", 3, 100 * number + 50)
    data = cls(tmp_path)
    assert (data.names, sizes(data)) == (("cat", "dog"), {"train": 8, "val": 2, "test": 6})
    images(tmp_path / "cow", 4, 200)
    with pytest.raises(UserError, match=r"cow: other classes have split folders such as train; found none; give each"):
        cls(tmp_path)


@pytest.mark.parametrize("inner", ["", "photos/all", "Pets/train/train"])
def test_folders_that_only_wrap_others(tmp_path: Path, inner: str) -> None:
    for number, name in enumerate(("cat", "dog")):
        images(tmp_path / inner / name / "more/deep", 5, 100 * number)
    data = cls(tmp_path)
    assert (data.names, sizes(data)) == (("cat", "dog"), {"train": 6, "val": 2, "test": 2})
    assert data.splits["test"][0].id.startswith(f"{inner}/cat/more/deep/".lstrip("/"))


def test_a_class_folder_without_images_is_no_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("cat", "dog")):
        images(tmp_path / name, 5, 100 * number)
    (tmp_path / "cow").mkdir()
    assert cls(tmp_path).names == ("cat", "dog")
    assert f"download: {tmp_path / 'cow'}: no image is in it, so it is left out" in capsys.readouterr().out


def test_lists_of_voc_in_any_case(tmp_path: Path) -> None:
    root = write_voc(tmp_path, PHOTOS, lists={"train": "Train", "val": "eval", "test": "TESTING"})
    assert sizes(read(root)) == COUNTS
    (root / "ImageSets/Main/holdout.txt").write_text("p000\n")
    assert "holdout.txt: lies beside the lists of splits, but its name is none; rename it" in fault(root)
    (root / "ImageSets/Main/holdout.txt").rename(root / "ImageSets/Main/cat_train.txt")
    (root / "ImageSets/Segmentation").mkdir()
    (root / "ImageSets/Segmentation/train.txt").write_text("p000\n")
    assert sizes(read(root)) == COUNTS


def test_keys_of_a_data_yaml_in_any_case(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, PHOTOS)
    text = "Train: images/train\nvalidation: images/val\nTest: images/test\nnames: [cat, dog]\n"
    (root / "data.yaml").write_text(text)
    assert sizes(read(root)) == COUNTS
    (root / "data.yaml").write_text(text.replace("Test", "holdout"))
    assert "data.yaml: 'holdout' names images/test, but is no name of a split; rename it, or remove it" in fault(root)
    (root / "data.yaml").write_text(text.replace("Test", "dev"))
    assert "validation and dev both stand for val" in fault(root)


def test_json_files_named_after_splits(tmp_path: Path) -> None:
    root = write_coco(tmp_path, PHOTOS)
    for path in sorted((root / "annotations").iterdir()):
        path.rename(path.with_name(f"{path.name.removeprefix('instances_').removesuffix('2017.json')}.json"))
    assert {path.name for path in (root / "annotations").iterdir()} == {"train.json", "val.json", "test.json"}
    assert sizes(read(root)) == COUNTS
    (root / "annotations/val.json").rename(root / "annotations/later.json")
    assert "later.json: one of 3 COCO files (" in fault(root) and "but no split is in its name" in fault(root)
    (root / "annotations/later.json").rename(root / "annotations/train_val.json")
    assert "train_val.json: its name has words of two splits (train, val); rename it" in fault(root)


def test_coco_files_in_folders_named_after_splits(tmp_path: Path) -> None:
    for split, folder in {"train": "Training", "val": "dev", "test": "Test"}.items():
        chosen = [photo for photo in PHOTOS if photo.split == split]
        for photo in chosen:
            photo.save(tmp_path / folder / "pictures" / f"{photo.name}.png")
        (tmp_path / folder / "boxes.JSON").write_text(json.dumps(coco_content(chosen)))
    assert sizes(read(tmp_path)) == COUNTS


def test_voc_in_folders_named_after_splits(tmp_path: Path) -> None:
    for photo in PHOTOS:
        folder = tmp_path / {"train": "Train", "val": "eval", "test": "Testing"}[photo.split]
        photo.save(folder / f"{photo.name}.png")
        (folder / f"{photo.name}.xml").write_text(voc_xml(photo), encoding="utf-8")
    assert sizes(read(tmp_path)) == COUNTS
    (tmp_path / "eval").rename(tmp_path / "later")
    message = fault(tmp_path)
    assert "lies in no folder of a split, as 2 of 11 images, but others lie in folders of test, train" in message
    (tmp_path / "Train").rename(tmp_path / "first")
    (tmp_path / "later").rename(tmp_path / "Testing/later")
    (tmp_path / "first").rename(tmp_path / "Testing/first")
    assert "has test, but no train; name it train or training, in any case" in fault(tmp_path)


def test_eval_is_val_where_boxes_are_drawn(tmp_path: Path) -> None:
    photos = [Photo(f"p{n:03d}", "train", (40, 20), ((n % 2, 4, 2, 20, 12),)) for n in range(10)]
    root = write_yolo(tmp_path, [*photos, Photo("p100", "eval", (40, 20), ((0, 1, 1, 9, 9),))])
    data = read(root)
    assert sizes(data) == {"train": 8, "val": 1, "test": 2}
    assert Counter(number for record in data.splits["test"] for number in record.category) == {0: 1, 1: 1}


def test_two_words_of_one_split_are_refused_where_boxes_are(tmp_path: Path) -> None:
    for photo in PHOTOS:
        folder = tmp_path / {"train": "train", "val": "val", "test": "dev"}[photo.split]
        photo.save(folder / f"{photo.name}.png")
        (folder / f"{photo.name}.xml").write_text(voc_xml(photo), encoding="utf-8")
    assert "dev and val both stand for val; join them, or rename one" in fault(tmp_path)
    (tmp_path / "dev").rename(tmp_path / "VAL-2")
    assert sizes(read(tmp_path))["val"] == 5


def test_names_that_end_in_a_number_are_found_in_lists(tmp_path: Path) -> None:
    """Lists of VOC may have the presence of a class behind the name: 1, 0 or -1."""
    lists = {"train": (0, 1, 2, 3, 4), "val": (5, 6), "test": (7, 8)}
    for number in range(9):
        photo = Photo(f"p  {number}", "train", (40, 20), ((number % 2, 4, 2, 20, 12),))
        photo.save(tmp_path / "images" / f"{photo.name}.png")
        (tmp_path / "images" / f"{photo.name}.txt").write_text(f"{number % 2} 0.3 0.35 0.4 0.5\n", encoding="utf-8")
    (tmp_path / "classes.txt").write_text("cat\ndog\n", encoding="utf-8")
    for ending in ("", "  1", " -1"):
        for split, numbers in lists.items():
            rows = "\n".join(f"p  {number}{ending}" for number in numbers)
            (tmp_path / f"{split}.txt").write_text(rows, encoding="utf-8")
        assert sizes(read(tmp_path)) == {"train": 5, "val": 2, "test": 2}
