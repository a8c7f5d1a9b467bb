import io
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from diffaug.errors import UserError
from diffaug.params.data import Folder
from diffaug.sources.folder import class_folders, yolo_folder
from diffaug.sources.real import check_classes, check_disjoint

CIFAR = Path(__file__).resolve().parents[3] / "shared/data/cifar10-jpeg-20k/cifar10_jpeg_20k.zip"


def params(path: Path) -> Folder:
    return Folder(source="folder", path=str(path), val_fraction=0.2, test_fraction=0.2)


def save(path: Path, shade: int, size: tuple[int, int] = (40, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, shade // 2, 7)).save(path)


def classes(root: Path, per_class: int = 10) -> None:
    for number, name in enumerate(["cat", "狗"]):
        for index in range(per_class):
            save(root / name / f"{index}.png", 100 * number + index)


def test_class_folders_are_split_by_seed_and_class(tmp_path: Path) -> None:
    classes(tmp_path)
    data = class_folders(params(tmp_path), 0)
    assert data.names == ("cat", "狗")
    for split, count in {"train": 6, "val": 2, "test": 2}.items():
        assert Counter(record.label for record in data.splits[split]) == {0: count, 1: count}
    assert data == class_folders(params(tmp_path), 0)
    assert data != class_folders(params(tmp_path), 1)
    check_classes(data, "here")
    check_disjoint(data.splits.items())


def test_given_splits_are_kept_and_val_is_drawn_from_train(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    for number, name in enumerate(["cat", "狗"]):
        save(tmp_path / "test" / name / "t.png", 230 + number)
    data = class_folders(params(tmp_path), 0)
    assert [record.id for record in data.splits["test"]] == ["test/cat/t.png", "test/狗/t.png"]
    assert [len(data.splits[split]) for split in ("train", "val")] == [16, 4]


def test_what_is_no_image_or_no_class_is_refused_by_name(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    save(tmp_path / "test/bird/t.png", 1)
    with pytest.raises(UserError, match=r"bird: no class of .*cat, 狗"):
        class_folders(params(tmp_path), 0)
    (tmp_path / "train/cat/notes.txt").write_text("hello")
    (tmp_path / "test/bird/t.png").rename(tmp_path / "t.png")
    (tmp_path / "test/bird").rmdir()
    (tmp_path / "test").rmdir()
    with pytest.raises(UserError, match=r"notes\.txt: not an image"):
        class_folders(params(tmp_path), 0)


def test_missing_small_and_empty_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"download\.cls\.path: .*nowhere does not exist"):
        class_folders(params(tmp_path / "nowhere"), 0)
    classes(tmp_path / "few", per_class=2)
    with pytest.raises(UserError, match="class 'cat' has 2 images, but needs 3, one for each split"):
        class_folders(params(tmp_path / "few"), 0)
    classes(tmp_path / "one")
    for path in (tmp_path / "one/狗").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="class '狗' has 0 images"):
        class_folders(params(tmp_path / "one"), 0)
    (tmp_path / "alone/cat").mkdir(parents=True)
    with pytest.raises(UserError, match="at least two; found cat"):
        class_folders(params(tmp_path / "alone"), 0)


def test_a_class_without_a_test_image_is_refused(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    save(tmp_path / "test/cat/t.png", 1)
    with pytest.raises(UserError, match="here: class '狗' has no image in test"):
        check_classes(class_folders(params(tmp_path), 0), "here")


def test_the_same_pixels_in_two_splits_stop_the_run_with_both_names(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    classes(tmp_path / "test", per_class=1)
    for path in (tmp_path / "test").rglob("*.png"):
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    data = class_folders(params(tmp_path), 0)
    with pytest.raises(UserError, match=r"the same image stands in \w+ \(.*0\.\w+\) and in \w+ \(.*0\.\w+\)"):
        check_disjoint(data.splits.items())


def test_real_photographs(tmp_path: Path) -> None:
    if not CIFAR.exists():
        pytest.skip(f"{CIFAR} is not on this machine")
    with zipfile.ZipFile(CIFAR) as archive:
        taken: Counter[str] = Counter()
        for name in sorted(archive.namelist()):
            folder = str(Path(name).parent)
            if name.endswith(".jpg") and taken[folder] < 20:
                taken[folder] += 1
                archive.extract(name, tmp_path)
    data = class_folders(params(tmp_path), 0)
    assert len(data.names) == 10
    assert {split: len(records) for split, records in data.splits.items()} == {"train": 160, "val": 40, "test": 200}
    check_classes(data, "here")
    check_disjoint(data.splits.items())
    record = data.splits["test"][0]
    assert record.image == (tmp_path / record.id).read_bytes()
    assert Image.open(io.BytesIO(record.image)).size == (32, 32)


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
    data = yolo_folder(params(root), 0)
    assert data.names == ("cat", "dog")
    by_name = {Path(record.id).stem: record for records in data.splits.values() for record in records}
    assert by_name["c0"].bbox == ((10.0, 5.0, 20.0, 10.0),)
    assert by_name["d0"].bbox == ((0.0, 0.0, 40.0, 20.0),)
    assert by_name["d0"].category == (1,)
    assert {by_name[name].bbox for name in ("e0", "e1", "e2")} == {()}
    assert [len(data.splits[split]) for split in ("train", "val", "test")] == [7, 3, 3]
    check_classes(data, "here")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("0 a 0.5 0.5 0.5", "is not 'class x y width height' in numbers"),
        ("0 0.5 0.5 0.5", "has 4 values, expected 5"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2", "has 7 values, expected 5"),
        ("2 0.5 0.5 0.5 0.5", "class 2 is unknown, allowed are 0 to 1"),
        ("0 nan 0.5 0.5 0.5", "is empty or leaves the image"),
        ("0 0.9 0.5 0.5 0.5", "is empty or leaves the image"),
        ("0 0.5 0.5 0 0.5", "is empty or leaves the image"),
    ],
)
def test_a_bad_row_is_refused_by_file_and_line(tmp_path: Path, row: str, words: str) -> None:
    root = yolo(tmp_path, GOOD | {"c0": f"0 0.5 0.5 0.5 0.5\n{row}\n"})
    with pytest.raises(UserError, match=rf"c0\.txt, line 2: .*{words}"):
        yolo_folder(params(root), 0)


def test_a_label_without_its_image_is_refused(tmp_path: Path) -> None:
    root = yolo(tmp_path, GOOD)
    (root / "labels/train/lost.txt").write_text("0 0.5 0.5 0.5 0.5")
    with pytest.raises(UserError, match=r"lost\.txt: a label file without an image"):
        yolo_folder(params(root), 0)


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
        yolo_folder(params(tmp_path), 0)
