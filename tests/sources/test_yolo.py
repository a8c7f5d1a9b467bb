from pathlib import Path

import pytest
from PIL import Image

from diffaug.errors import UserError
from diffaug.params.data import Folder
from diffaug.sources.folder import yolo_folder
from diffaug.sources.real import RealData, check_disjoint

CAT, DOG = "0 0.25 0.5 0.5 1\n", "1 0.75 0.5 0.5 1\n"


def load(root: Path) -> RealData:
    return yolo_folder(Folder(source="folder", path=str(root), val_fraction=0.2, test_fraction=0.2), 0)


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
        check_disjoint(load(tmp_path).splits.items())


def test_a_list_of_images_names_the_file_that_is_missing(tmp_path: Path) -> None:
    add(tmp_path, "train", [CAT, CAT, CAT])
    names = [f"images/train/{index:02d}.png" for index in range(3)]
    (tmp_path / "train.txt").write_text("\n".join(names))
    config(tmp_path, "train: train.txt", "[cat]")
    assert sizes(load(tmp_path)) == {"train": 1, "val": 1, "test": 1}
    (tmp_path / "train.txt").write_text("\n".join([*names, "images/train/gone.png"]))
    with pytest.raises(UserError, match=r"gone\.png does not exist"):
        load(tmp_path)


@pytest.mark.parametrize("names", ["{0: cat, dog: 1}", "{1: cat, 2: dog}", "cat", "[]"])
def test_names_that_number_nothing_are_refused(tmp_path: Path, names: str) -> None:
    add(tmp_path, "train", [CAT] * 3)
    config(tmp_path, "train: images/train", names)
    with pytest.raises(UserError, match=r"data\.yaml: 'names' must list the classes, or number them from 0"):
        load(tmp_path)
