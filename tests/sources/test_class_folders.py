import io
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from shared_data import shared
from systems import posix

from diffaug.params.download import Folder
from diffaug.runtime.errors import UserError
from diffaug.sources import class_folders as source
from diffaug.sources.placing import to_real_data
from diffaug.sources.real import RealData, check_classes, check_disjoint


def params(path: Path) -> Folder:
    return Folder(source="folder", path=str(path), val_fraction=0.2, test_fraction=0.2)


def class_folders(params: Folder, seed: int, strict: bool = True) -> RealData:
    return to_real_data(source.class_folders(params), params, seed, strict)


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
    with pytest.raises(UserError, match=r"bird: not a class of .*cat, 狗"):
        class_folders(params(tmp_path), 0)
    (tmp_path / "test/bird/t.png").rename(tmp_path / "t.png")
    with pytest.raises(UserError, match=r"t\.png: lies beside the folders cat, 狗, not in one of them; move it away"):
        class_folders(params(tmp_path), 0)
    (tmp_path / "t.png").unlink()
    (tmp_path / "train/cat/notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"notes\.txt: not an image .*; correct it, or set download\.strict: false"):
        class_folders(params(tmp_path), 0)
    assert class_folders(params(tmp_path), 0, strict=False).dropped.images == 1


def test_missing_small_and_empty_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"download\.cls\.path: .*nowhere does not exist"):
        class_folders(params(tmp_path / "nowhere"), 0)
    classes(tmp_path / "few", per_class=2)
    with pytest.raises(UserError, match="class 'cat' has 2 images, but needs 3, one for each split"):
        class_folders(params(tmp_path / "few"), 0)
    classes(tmp_path / "one")
    for path in (tmp_path / "one/狗").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="one folder with images per class, at least two; found cat"):
        class_folders(params(tmp_path / "one"), 0)
    (tmp_path / "alone/cat").mkdir(parents=True)
    (tmp_path / "alone/cat/a.txt").touch()
    with pytest.raises(UserError, match=r"alone: no image is in it; found cat: 1 \.txt"):
        class_folders(params(tmp_path / "alone"), 0)


def test_a_class_without_a_test_image_is_refused(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    save(tmp_path / "test/cat/t.png", 240)
    with pytest.raises(UserError, match="here: class '狗' has no image in test"):
        check_classes(class_folders(params(tmp_path), 0), "here")


def test_the_same_pixels_in_two_splits_are_a_fault_and_leave_train_first(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    classes(tmp_path / "test", per_class=2)
    for path in (tmp_path / "test").rglob("0.png"):
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    for path in (tmp_path / "test").rglob("1.png"):
        save(path, 240 + len(path.parent.name))
    with pytest.raises(UserError, match=r"the same image is in \w+ \(.*0\.png\) and in test \(.*0\.bmp\).*1 more"):
        class_folders(params(tmp_path), 0)
    data = class_folders(params(tmp_path), 0, strict=False)
    assert {split: len(records) for split, records in data.splits.items()} == {"train": 14, "val": 4, "test": 4}
    assert data.dropped.images == 2
    check_disjoint(data.splits.items())


def test_the_same_pixels_twice_in_one_class_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classes(tmp_path)
    save(tmp_path / "cat/copy.png", 0)
    class_folders(params(tmp_path), seed=0)
    assert (
        "note: number of images that repeat another one of their split: 1, such as cat/0.png" in capsys.readouterr().out
    )


def test_copies_that_are_dropped_are_not_said_to_repeat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split, first in (("train", 0), ("test", 5)):
        for number, name in enumerate(("cat", "dog")):
            for index in range(5):
                save(tmp_path / split / name / f"{index}.png", 100 * number + first + index)
    for name in ("one", "two"):
        save(tmp_path / f"train/cat/{name}.png", 5)  # as test/cat/0.png
    class_folders(params(tmp_path), seed=0, strict=False)
    said = capsys.readouterr().out
    assert "dropped 2 images" in said and "repeat another one" not in said


def test_an_unreadable_image_is_a_fault(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "cat/3.png").write_bytes(b"no image")
    with pytest.raises(
        UserError, match=r"cat/3\.png: not a readable image .*; correct it, or set download\.strict: false"
    ):
        class_folders(params(tmp_path), 0)
    data = class_folders(params(tmp_path), 0, strict=False)
    assert (sum(map(len, data.splits.values())), data.dropped.images) == (19, 1)


def test_real_photographs(tmp_path: Path) -> None:
    with zipfile.ZipFile(shared("cifar10-jpeg-20k/cifar10_jpeg_20k.zip")) as archive:
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


@posix
def test_a_link_that_leads_nowhere_is_not_left_out(tmp_path: Path) -> None:
    """Such as those to a disk that is not mounted."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Thumbs.db").touch()  # Windows leaves it behind
        for number in range(3):
            Image.new("RGB", (4, 4), (number, 0, name == "cat")).save(tmp_path / name / f"{number}.png")
    folder = Folder(source="folder", path=str(tmp_path), val_fraction=0.2, test_fraction=0.2)
    assert len(source.class_folders(folder).items) == 6
    (tmp_path / "cat/lost.png").symlink_to("/nowhere/lost.png")
    with pytest.raises(UserError, match=r"cat/lost\.png: no file, but a link that leads nowhere, or a pipe"):
        class_folders(folder, 0)
    data = class_folders(folder, 0, strict=False)
    assert (sum(map(len, data.splits.values())), data.dropped.images) == (6, 1)
