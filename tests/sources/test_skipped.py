"""What is not read is counted, said or a fault: links, hidden folders, images without labels, paths that lead out."""

import json
from pathlib import Path

import pytest
from photos import Photo, fault, read, voc_xml, write_coco, write_voc, write_yolo
from PIL import Image
from systems import posix

from diffaug.params.download import Folder
from diffaug.runtime.errors import UserError
from diffaug.sources.class_folders import class_folders
from diffaug.sources.placing import to_real_data
from diffaug.sources.real import RealData

PHOTOS = tuple(Photo(f"p{number:03d}", "train", (40, 20), ((number % 2, 4, 2, 20, 12),)) for number in range(12))


def save(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (shade, 5, 9)).save(path)


def cls(root: Path, strict: bool = True) -> RealData:
    params = Folder(source="folder", path=str(root), val_fraction=0.2, test_fraction=0.2)
    return to_real_data(class_folders(params), params, 0, strict)


def ids(data: RealData) -> set[str]:
    return {record.id for split in data.splits.values() for record in split}


@posix
def test_linked_files_and_folders_are_followed(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"disk/a/{number}.png", number)
        save(tmp_path / f"disk/b/{number}.png", 100 + number)
        (tmp_path / "set/cat").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"set/cat/{number}.png").symlink_to(tmp_path / f"disk/a/{number}.png")
    (tmp_path / "set/dog").symlink_to(tmp_path / "disk/b", target_is_directory=True)
    data = cls(tmp_path / "set")
    assert ids(data) == {f"{name}/{number}.png" for name in ("cat", "dog") for number in range(4)}


@posix
def test_a_link_to_its_own_folder_ends(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"cat/{number}.png", number)
        save(tmp_path / f"dog/{number}.png", 100 + number)
    (tmp_path / "cat/again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "cat/self").symlink_to(tmp_path / "cat/self")
    assert len(ids(cls(tmp_path, strict=False))) == 8


@posix
@pytest.mark.parametrize("write", [write_voc, write_yolo, write_coco])
def test_twelve_dangling_links_are_twelve_faults(tmp_path: Path, write: object) -> None:
    more = [Photo(f"p1{number:02d}", "train", (40, 20), ((number % 2, 4, 2, 20, 12),)) for number in range(6)]
    root = write(tmp_path / "set", [*PHOTOS, *more])
    for path in sorted(root.rglob("*.png"))[:12]:
        path.unlink()
        path.symlink_to(f"/nowhere/{path.name}")
    assert "p000.png: no file, but a link that leads nowhere, or a pipe; mend or remove it; and 11 more (11 x link" in (
        fault(root)
    )
    data = read(root, strict=False)
    assert (len(ids(data)), data.dropped.images) == (6, 12)
    for path in sorted(root.rglob("*.png"))[12:]:
        path.unlink()
        path.symlink_to(f"/nowhere/{path.name}")
    message = fault(root)
    assert "18 links lead nowhere: " in message or "and 17 more (17 x link that leads nowhere)" in message


@posix
def test_ids_of_linked_images_are_paths_of_the_set(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "set", PHOTOS)
    (root / "images").rename(tmp_path / "elsewhere")
    (root / "images").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert ids(read(root)) == {f"images/train/{photo.name}.png" for photo in PHOTOS}


def test_a_list_of_images_elsewhere_has_ids_without_the_machine(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "set", PHOTOS)
    (root / "images").rename(tmp_path / "images")
    (root / "labels").rename(tmp_path / "labels")
    (root / "train.txt").write_text("\n".join(f"{tmp_path}/images/train/{photo.name}.png" for photo in PHOTOS))
    (root / "data.yaml").write_text("train: train.txt\nnames: [cat, dog]\n")
    assert ids(read(root)) == {f"outside/train/{photo.name}.png" for photo in PHOTOS}


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", ".thumbnails", "@eaDir", "__MACOSX", ".git/objects"])
def test_hidden_folders_at_any_depth_are_no_data(tmp_path: Path, hidden: str) -> None:
    for number in range(4):
        save(tmp_path / f"cls/cat/{number}.png", number)
        save(tmp_path / f"cls/dog/{number}.png", 100 + number)
    save(tmp_path / "cls" / hidden / "0.png", 0)
    save(tmp_path / "cls/cat" / hidden / "0.png", 200)
    save(tmp_path / "cls/cat/deep" / hidden / "0.png", 201)
    assert len(ids(cls(tmp_path / "cls"))) == 8
    for write in (write_voc, write_yolo, write_coco):
        root = write(tmp_path / write.__name__, PHOTOS)
        for path in sorted(root.rglob("*.png"))[:2]:
            save(path.parent / hidden / path.name, 7)
        for path in [*root.rglob("*.xml"), *root.rglob("*.json")][:2]:
            (path.parent / hidden).mkdir(parents=True, exist_ok=True)
            (path.parent / hidden / path.name).write_text("no label")
        assert len(ids(read(root))) == 12


def test_voc_images_without_xml_are_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_voc(tmp_path, PHOTOS, lists={})
    for number in range(3):
        (root / f"Annotations/p{number:03d}.xml").unlink()
    data = read(root)
    assert sum(not record.bbox for split in data.splits.values() for record in split) == 3
    text = "3 of 12 images have no XML file and count as negatives, the first: "
    assert f"{text}{root / 'JPEGImages/p000.png'}" in capsys.readouterr().out


def test_images_that_no_coco_file_lists_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_coco(tmp_path, PHOTOS)
    save(root / "train2017/more.png", 3)
    assert len(ids(read(root))) == 12
    assert "left out 1 images that no COCO file lists: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["../../secret.png", "a/../../secret.png", "/secret.png", "C:/secret.png", "..\\a.png"]
)
def test_a_coco_file_name_stays_inside_its_folder(tmp_path: Path, name: str) -> None:
    root = write_coco(tmp_path / "set", PHOTOS)
    save(tmp_path / "x.png", 3)
    page = root / "annotations/instances_train2017.json"
    content = json.loads(page.read_text())
    content["images"][0]["file_name"] = name
    page.write_text(json.dumps(content))
    assert "image 100: the file_name " in fault(root) and "leads out of its folder; give a path below" in fault(root)
    assert read(root, strict=False).dropped.images == 1


def test_a_coco_file_name_of_windows(tmp_path: Path) -> None:
    root = write_coco(tmp_path, PHOTOS)
    page = root / "annotations/instances_train2017.json"
    page.write_text(page.read_text().replace('"p0', '"train2017\\\\p0'))
    assert len(ids(read(root))) == 12


def test_a_picture_of_a_format_that_is_not_read_is_a_fault(tmp_path: Path) -> None:
    root = write_voc(tmp_path, PHOTOS)
    (root / "JPEGImages/p100.heic").write_bytes(b"photo")
    assert "p100.heic: .heic pictures are not read; convert it to PNG or JPEG" in fault(root)
    assert read(root, strict=False).dropped.images == 1


@pytest.mark.parametrize("suffix", [".HEIC", ".gif"])
def test_a_folder_of_pictures_that_are_not_read(tmp_path: Path, suffix: str) -> None:
    """As a telephone makes them."""
    (tmp_path / "cat").mkdir()
    (tmp_path / f"cat/1{suffix}").write_bytes(b"")
    with pytest.raises(UserError, match=rf"1\{suffix}: \{suffix} pictures are not read; convert it to PNG or JPEG, or"):
        cls(tmp_path)


def test_a_text_file_among_images_is_dropped_if_not_strict(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, PHOTOS)
    (root / "images/train/notes.doc").write_text("mine")
    assert "notes.doc: not an image (" in fault(root)
    data = read(root, strict=False)
    assert (len(ids(data)), data.dropped.images) == (12, 1)


def test_labels_in_capitals(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for photo in PHOTOS:
        photo.save(root / f"{photo.name}.PNG")
        (root / f"{photo.name}.XML").write_text(voc_xml(photo), encoding="utf-8")
    data = read(root)
    assert sum(len(record.bbox) for split in data.splits.values() for record in split) == 12


def test_images_that_no_split_of_a_data_yaml_names_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_yolo(tmp_path, PHOTOS)
    save(root / "images/later/more.png", 3)
    assert len(ids(read(root))) == 12
    assert "data.yaml: left out 1 images that no split in it names: " in capsys.readouterr().out
