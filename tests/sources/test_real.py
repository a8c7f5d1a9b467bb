from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.hub.seen import read_seen, write_seen
from diffaug.runtime.errors import UserError
from diffaug.sources.real import RealData, check_classes, check_disjoint, remarks, stratified_split


def record(id: str, shade: int, split: str, **columns: object) -> Record:
    return make_record(id, encode_png(Image.new("L", (4, 3), shade)), split, **columns)


def test_a_split_has_its_share_of_each_class() -> None:
    splits = stratified_split([0] * 10 + [1] * 20, 0.2, 0.3, 0)
    assert Counter(splits[:10]) == {"train": 5, "val": 2, "test": 3}
    assert Counter(splits[10:]) == {"train": 10, "val": 4, "test": 6}


def test_small_classes_stand_in_every_split() -> None:
    splits = stratified_split([0] * 3 + [1] * 4, 0.05, 0.85, 0)
    assert Counter(splits[:3]) == {"train": 1, "val": 1, "test": 1}
    assert Counter(splits[3:]) == {"train": 1, "val": 1, "test": 2}


def test_a_class_keeps_its_split_when_another_class_grows() -> None:
    few = stratified_split([0] * 10 + [1] * 10, 0.2, 0.2, 3)
    many = stratified_split([0] * 10 + [1] * 15, 0.2, 0.2, 3)
    assert few[:10] == many[:10]


@pytest.mark.parametrize(("val", "test"), [(0.0, 0.2), (0.2, 0.0)])
def test_a_fraction_of_zero_takes_nothing(val: float, test: float) -> None:
    counts = Counter(stratified_split([0] * 10, val, test, 0))
    assert counts == {"train": 8, "val" if val else "test": 2}


def test_an_image_that_the_generator_knows_is_refused(tmp_path: Path) -> None:
    one, other = record("a", 10, "train"), record("b", 20, "test")
    write_seen(tmp_path, [one.open()])  # it may have learned from train
    check_disjoint([("train", [one]), ("test", [other])], read_seen(str(tmp_path)))
    write_seen(tmp_path, [other.open()])
    with pytest.raises(UserError, match=r"test \(b\) is an image on which .* was trained"):
        check_disjoint([("train", [one]), ("test", [other])], read_seen(str(tmp_path)))
    check_disjoint([("train", [one]), ("test", [other])])


def test_a_class_counts_as_present_by_its_boxes() -> None:
    boxes = {"bbox": ((0.0, 0.0, 2.0, 2.0),), "category": (0,)}
    splits = {split: (record(split, index, split, **boxes),) for index, split in enumerate(("train", "val", "test"))}
    check_classes(RealData(("cat",), splits), "here")
    with pytest.raises(UserError, match="here: class 'dog' has no image in train"):
        check_classes(RealData(("cat", "dog"), splits), "here")


def test_one_class_is_enough_for_a_detector_but_not_for_a_classifier() -> None:
    """As by `crops` or `hf`: it failed in evaluate, after all the training."""
    splits = {split: (record(split, n, split, label=0),) for n, split in enumerate(("train", "val", "test"))}
    with pytest.raises(UserError, match=r"download\.cls: has the one class 'cat', but a classifier needs at least two"):
        check_classes(RealData(("cat",), splits), "download.cls")


def test_classes_of_very_few_train_images_are_named() -> None:
    many = tuple(record(f"{n}", n, "test", label=0) for n in range(200))
    boxes = {"bbox": ((0.0, 0.0, 2.0, 2.0),) * 2, "category": (1, 1)}
    for of_class in ({"label": 1}, boxes):
        for count in (4, 5):
            train = (*many[:9], *(record(f"d{n}", n, "train", **of_class) for n in range(count)))
            said = list(remarks(RealData(("cat", "dog"), {"train": train, "test": many}), 4, "train_cls.image_size"))
            few = (
                "classes with fewer than 5 train images: dog (4); too few to learn from: add images, or leave the class"
            )
            assert said == ([f"{few} out"] if count == 4 else [])


def test_points_of_accuracy_are_not_said_of_a_detector() -> None:
    boxes = {"bbox": ((0.0, 0.0, 2.0, 2.0),), "category": (0,)}
    said = {}
    for task, columns in (("cls", {"label": 0}), ("det", boxes)):
        of_split = tuple(record(f"{n}", n, "test", **columns) for n in range(80))
        (said[task],) = remarks(RealData(("cat",), {"train": of_split, "test": of_split}), 4, "train_cls.image_size")
    assert said["cls"] == "with 80 test images, a difference below about 14 points of accuracy is hardly visible"
    assert (
        said["det"]
        == "with 80 test images, only a large difference of the mAP is visible; more images show smaller ones"
    )


def test_the_pool_and_the_other_task_are_searched_for_copies() -> None:
    sets = [("train", [record("a", 1, "train")]), ("test", [record("b", 2, "test")])]
    check_disjoint([*sets, ("train", [record("c", 1, "train")])])  # the same split of the other task
    with pytest.raises(UserError, match=r"is in test \(b\) and in pool \(d\)"):
        check_disjoint([*sets, ("pool", [record("d", 2, "pool")])])


def test_a_size_makes_another_image_of_the_same_bytes() -> None:
    wide, tall = (make_record(f"{size}", encode_png(Image.new("L", size, 5)), "train") for size in ((6, 2), (2, 6)))
    check_disjoint([("train", [wide]), ("test", [tall])])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("two\nlines", r"has the character \\n"),
        ("nul\0", r"has the character \\x00"),
        ("\u202egnp", r"has the character \\u202e"),
        ("</script>", "has the character <"),
        (" ", "is empty"),
        ("x" * 300, "has 300 characters"),
    ],
)
def test_a_class_name_that_nothing_can_show_is_refused(name: str, found: str) -> None:
    with pytest.raises(UserError, match=f"download.det: class .* {found}; allowed are 1 to 100 characters") as error:
        check_classes(RealData((name,), {}), "download.det")
    assert "\n" not in str(error.value)
