from pathlib import Path

import photos
import pytest
from PIL import Image

from diffaug.runtime.errors import UserError
from diffaug.sources.real import RealData, check_classes

CAT, DOG = "0 0.25 0.5 0.5 1\n", "1 0.75 0.5 0.5 1\n"


def load(root: Path) -> RealData:
    return photos.read(root)


def add(root: Path, split: str, rows: list[str | None], first_shade: int = 0) -> None:
    for index, text in enumerate(rows):
        image, label = (root / kind / split / f"{index:02d}" for kind in ("images", "labels"))
        image.parent.mkdir(parents=True, exist_ok=True)
        label.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 4), first_shade + index).save(image.with_suffix(".png"))
        if text is not None:
            label.with_suffix(".txt").write_text(text)


def config(root: Path, text: str, names: str = "[cat, dog]") -> None:
    (root / "data.yaml").write_text(f"{text}\nnames: {names}\n")


def sizes(data: RealData) -> dict[str, int]:
    return {split: len(records) for split, records in data.splits.items()}


def test_given_splits_are_left_as_they_are(tmp_path: Path) -> None:
    add(tmp_path, "train", [CAT] * 5 + [DOG] * 5)
    add(tmp_path, "valid", [CAT, DOG, None], 100)
    add(tmp_path, "test", [CAT + DOG], 200)
    config(tmp_path, "train: images/train\nvalid: images/valid\ntest: images/test")
    data = load(tmp_path)
    assert sizes(data) == {"train": 10, "val": 3, "test": 1}
    assert data.splits["test"][0].bbox == ((0.0, 0.0, 4.0, 4.0), (4.0, 0.0, 4.0, 4.0))


def test_only_the_missing_split_is_drawn(tmp_path: Path) -> None:
    add(tmp_path, "train", [CAT] * 5 + [DOG] * 5)
    add(tmp_path, "val", [CAT, DOG], 100)
    config(tmp_path, "train: images/train\nval: images/val")
    assert sizes(load(tmp_path)) == {"train": 8, "val": 2, "test": 2}


def test_a_class_that_is_never_an_images_rarest_is_no_error(tmp_path: Path) -> None:
    add(tmp_path, "train", [CAT + DOG] * 10)
    config(tmp_path, "train: images/train")
    assert sizes(load(tmp_path)) == {"train": 6, "val": 2, "test": 2}


def test_a_single_negative_is_no_error(tmp_path: Path) -> None:
    add(tmp_path, "train", [CAT] * 5 + [DOG] * 5 + [None])
    config(tmp_path, "train: images/train")
    assert sum(sizes(load(tmp_path)).values()) == 11


def test_the_same_image_in_two_splits_is_found(tmp_path: Path) -> None:
    add(tmp_path, "train", [CAT] * 3)
    add(tmp_path, "val", [CAT], 100)
    add(tmp_path, "test", [CAT], 2)  # shade 2 is train's third
    config(tmp_path, "train: images/train\nval: images/val\ntest: images/test", "[cat]")
    with pytest.raises(UserError, match=r"train \(images/train/02\.png\) and in test \(images/test/00\.png\)"):
        load(tmp_path)


def test_a_list_of_images_names_the_file_that_is_missing(tmp_path: Path) -> None:
    add(tmp_path, "train", [CAT, CAT, CAT])
    names = [f"images/train/{index:02d}.png" for index in range(3)]
    (tmp_path / "train.txt").write_text("\n".join(names))
    config(tmp_path, "train: train.txt", "[cat]")
    assert sizes(load(tmp_path)) == {"train": 1, "val": 1, "test": 1}
    (tmp_path / "train.txt").write_text("\n".join([*names, "images/train/gone.png"]))
    with pytest.raises(UserError, match=r"gone\.png does not exist"):
        load(tmp_path)


def test_backslashes_are_slashes(tmp_path: Path) -> None:
    add(tmp_path / "set", "train", [CAT] * 5 + [DOG] * 5)
    add(tmp_path / "set", "val", [CAT, DOG], 100)
    listed = "\n".join(f".\\images\\val\\{number:02d}.png" for number in range(2))
    (tmp_path / "set/val.txt").write_text(listed)
    config(tmp_path, "path: .\\set\ntrain: images\\train\nval: val.txt")
    assert sizes(load(tmp_path)) == {"train": 8, "val": 2, "test": 2}


@pytest.mark.parametrize("names", ["{0: cat, dog: 1}", "{1: cat, 2: dog}", "cat", "[]"])
def test_names_that_number_nothing_are_refused(tmp_path: Path, names: str) -> None:
    add(tmp_path, "train", [CAT] * 3)
    config(tmp_path, "train: images/train", names)
    with pytest.raises(UserError, match=r"data\.yaml: 'names' must list the classes, or number them from 0"):
        load(tmp_path)


def save(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 20), (shade, shade // 2, 7)).save(path)


def yolo(root: Path, rows: dict[str, str | None], names: str = "[cat, dog]", extra: str = "") -> Path:
    for number, (name, text) in enumerate(rows.items()):
        save(root / "images/train" / f"{name}.png", 10 + number)
        if text is not None:
            (root / "labels/train").mkdir(parents=True, exist_ok=True)
            (root / "labels/train" / f"{name}.txt").write_text(text)
    (root / "data.yaml").write_text(f"path: .\ntrain: images/train\nnames: {names}\n{extra}")
    return root


GOOD = {
    **{f"c{index}": "0 0.5 0.5 0.5 0.5\n" for index in range(5)},
    **{f"d{index}": "1 .5 .5 1 1" for index in range(5)},
}


def test_yolo_boxes_in_pixels_and_negatives(tmp_path: Path) -> None:
    root = yolo(tmp_path, GOOD | {"e0": None, "e1": "", "e2": "\n"}, names="{0: cat, 1: dog}")
    data = load(root)
    assert data.names == ("cat", "dog")
    by_name = {Path(record.id).stem: record for records in data.splits.values() for record in records}
    assert by_name["c0"].bbox == ((10.0, 5.0, 20.0, 10.0),)
    assert by_name["d0"].bbox == ((0.0, 0.0, 40.0, 20.0),)
    assert by_name["d0"].category == (1,)
    assert {by_name[name].bbox for name in ("e0", "e1", "e2")} == {()}
    assert [len(data.splits[split]) for split in ("train", "val", "test")] == [7, 3, 3]
    check_classes(data, "here")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("names: [a]", "no 'train' entry"),
        ("train: images/train", "'names' must list the classes"),
        ("train: images/none\nnames: [a]", "'train' names images/none, which is neither"),
        ("- 1", "expected keys"),
    ],
)
def test_a_bad_data_yaml_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"data\.yaml: .*{words}"):
        load(tmp_path)


def test_images_without_a_label_file_are_said_and_all_of_them_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(tmp_path, "train", [CAT] * 5 + [DOG] * 5 + [None] * 3)
    config(tmp_path, "train: images/train")
    load(tmp_path)
    out = capsys.readouterr().out
    assert "3 of 13 images have no text file and count as negatives, the first:" in out
    assert "images/train/10.png" in out
    (tmp_path / "labels").rename(tmp_path / "label")
    assert sizes(load(tmp_path)) == {"train": 7, "val": 3, "test": 3}  # by the names of the files
    for path in (tmp_path / "label/train").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"no image has a text file of its name, the first: .*images/train/00\.png"):
        load(tmp_path)
