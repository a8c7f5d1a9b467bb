"""One draw of splits for both tasks, in which what belongs together stays together."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photos import Photo, voc_xml, write_voc
from PIL import Image, ImageEnhance
from pydantic import ValidationError

from diffaug.params.download import BoxFolder, DownloadParams, Folder
from diffaug.runtime.errors import UserError
from diffaug.sources.draws import Draw, draw, starved
from diffaug.sources.real import RealData, check_disjoint
from diffaug.sources.tasks import read_both

FRACTIONS = {"val_fraction": 0.2, "test_fraction": 0.3}


def photo(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A photograph that looks like no other."""
    coarse = np.random.default_rng(seed).integers(256, size=(6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def again(image: Image.Image) -> Image.Image:
    """The photograph as another file: smaller, brighter, compressed."""
    buffer = io.BytesIO()
    ImageEnhance.Brightness(image.resize((44, 36))).enhance(1.1).save(buffer, "JPEG", quality=80)
    return Image.open(buffer)


def read(root: Path, strict: bool = True, seed: int = 0, det: Path | None = None, **extra: Any) -> list[RealData]:
    """The class folders, and the boxes of det."""
    cls = Folder(source="folder", path=str(root), **FRACTIONS, **extra)
    boxes = BoxFolder(source="folder", path=str(det), **FRACTIONS) if det else None
    return list(read_both(DownloadParams(seed=seed, strict=strict, cls=cls, det=boxes), root))


def splits(data: RealData) -> dict[str, str]:
    return {record.id: split for split, records in data.splits.items() for record in records}


def counts(data: RealData) -> dict[str, dict[int | None, int]]:
    return {split: dict(Counter(record.label for record in records)) for split, records in data.splits.items()}


def test_duplicates_stay_in_one_split(tmp_path: Path) -> None:
    for number in range(20):
        name = ("cat", "dog")[number % 2]
        save(tmp_path / name / f"{number:02d}.png", photo(number))
        if number < 6:
            save(tmp_path / name / f"{number:02d}-copy.bmp", photo(number))
    for seed in range(4):
        data = read(tmp_path, seed=seed)[0]
        found = splits(data)
        assert len(found) == 26 and data.dropped.images == 0
        for number in range(6):
            name = f"{('cat', 'dog')[number % 2]}/{number:02d}"
            assert found[f"{name}.png"] == found[f"{name}-copy.bmp"]
        # 13 of each class: round(2.6) = 3 in val, round(3.9) = 4 in test; single photographs fill what pairs leave.
        assert counts(data) == {"train": {0: 6, 1: 6}, "val": {0: 3, 1: 3}, "test": {0: 4, 1: 4}}


def test_lookalikes_stay_in_one_split(tmp_path: Path) -> None:
    for number in range(20):
        name = ("cat", "dog")[number % 2]
        save(tmp_path / name / f"{number:02d}.png", photo(number))
        if number < 6:
            save(tmp_path / name / f"{number:02d}-small.jpg", again(photo(number)))
    for seed in range(4):
        found = splits(read(tmp_path, seed=seed)[0])
        assert len(found) == 26
        for number in range(6):
            name = f"{('cat', 'dog')[number % 2]}/{number:02d}"
            assert found[f"{name}.png"] == found[f"{name}-small.jpg"]


def test_lookalikes_in_given_splits_are_counted_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(12):
        name = ("cat", "dog")[number % 2]
        save(tmp_path / "train" / name / f"{number:02d}.png", photo(number))
        save(tmp_path / "test" / name / f"{number:02d}.jpg", again(photo(number)) if number < 2 else photo(50 + number))
    assert sum(map(len, read(tmp_path)[0].splits.values())) == 24
    line = next(line for line in capsys.readouterr().out.splitlines() if "look alike" in line)
    assert line.startswith("download: note: 2 pairs of images look alike, but are in two splits, such as train/cat/00")
    assert "test/cat/00.jpg (test)" in line


def test_a_fixed_camera_does_not_stop_the_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(20):
        image = photo(1)
        image.putpixel((number, 3), (number, 0, 0))
        save(tmp_path / ("cat", "dog")[number % 2] / f"{number:02d}.png", image)
    data = read(tmp_path)[0]
    assert counts(data) == {"train": {0: 5, 1: 5}, "val": {0: 2, 1: 2}, "test": {0: 3, 1: 3}}
    assert "20 of 20 images look alike, as with a fixed camera" in capsys.readouterr().out


def test_a_class_of_lookalikes_is_still_in_every_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(10):
        image = photo(1)
        image.putpixel((number, 3), (number, 0, 0))
        if number < 4:
            save(tmp_path / "cat" / f"{number:02d}.png", image)
        save(tmp_path / "dog" / f"{number:02d}.png", photo(100 + number))
    assert [found[0] for found in counts(read(tmp_path)[0]).values()] == [2, 1, 1]
    assert "all images of 1 of the classes look alike, so the draw" in capsys.readouterr().out


def test_groups_stay_in_one_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten patients with three photographs each, of whom every second one is ill."""
    for number in range(30):
        patient = number // 3
        save(tmp_path / ("ill", "well")[patient % 2] / f"p{patient}_{number:02d}.png", photo(number))
    for seed in range(4):
        data = read(tmp_path, seed=seed, group="{patient}_*")[0]
        patients = {
            (record.id.split("/")[1].split("_")[0], record.split) for each in data.splits.values() for record in each
        }
        assert len(patients) == 10
        # 15 of each class: 3 in val, 4 in test (round(4.5) = 4): groups of 3 come nearest with 9, 3 and 3.
        assert counts(data) == {"train": {0: 9, 1: 9}, "val": {0: 3, 1: 3}, "test": {0: 3, 1: 3}}
    assert "30 images; no splits given; drawn from train: val, test; 10 groups" in capsys.readouterr().out


def test_the_frames_of_a_video_in_two_classes(tmp_path: Path) -> None:
    """A group by the path, whose images are of both classes."""
    for number in range(40):
        save(tmp_path / ("cat", "dog")[number % 2] / f"video{number // 4}" / f"{number:02d}.png", photo(number))
    data = read(tmp_path, group="*/{video}/*")[0]
    assert len({(record.id.split("/")[1], record.split) for each in data.splits.values() for record in each}) == 10
    assert counts(data) == {"train": {0: 10, 1: 10}, "val": {0: 4, 1: 4}, "test": {0: 6, 1: 6}}


def test_groups_that_the_files_put_into_two_splits_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(24):
        place = tmp_path / ("train", "test")[number % 2] / ("cat", "dog")[number // 2 % 2]
        save(place / f"p{number // 4}_{number}.png", photo(number))
    read(tmp_path, group="{patient}_*")
    assert "note: the files put 6 groups into two splits, such as train/cat/p0_0.png" in capsys.readouterr().out


def test_a_name_that_does_not_fit_the_groups_is_refused(tmp_path: Path) -> None:
    for number in range(20):
        save(tmp_path / ("cat", "dog")[number % 2] / f"p{number}.png", photo(number))
    with pytest.raises(UserError, match=r"download\.cls\.group: p0\.png \(.*cat/p0\.png\) does not fit '{patient}_\*'"):
        read(tmp_path, group="{patient}_*")


@pytest.mark.parametrize("group", ["*_patient", "{}_*", "{a", "{1}*", "a}{b}"])
def test_a_pattern_without_a_name_in_braces_is_refused(group: str) -> None:
    with pytest.raises(ValidationError, match=r"must be a pattern with a name in braces, such as {patient}_\*"):
        Folder(source="folder", path=".", **FRACTIONS, group=group)


def both_tasks(root: Path, shared: int) -> tuple[Path, Path]:
    """Class folders of 30 photographs, and VOC files of 30, of which some are the same photographs, as other files."""
    for number in range(30):
        save(root / "cls" / ("cat", "dog")[number % 2] / f"{number:02d}.png", photo(number))
    photos = [Photo(f"p{number:03d}", "train", (48, 40), ((number % 2, 4, 2, 20, 12),)) for number in range(30)]
    write_voc(root / "det", photos, lists={})
    for number in range(30):
        save(root / f"det/JPEGImages/p{number:03d}.png", photo(number if number < shared else 100 + number))
    return root / "cls", root / "det"


@pytest.mark.parametrize("shared", [30, 10])
def test_the_same_photographs_in_both_tasks_have_one_draw(tmp_path: Path, shared: int) -> None:
    cls, det = both_tasks(tmp_path, shared)
    for seed in range(4):
        found = read(cls, seed=seed, det=det)
        check_disjoint([split for data in found for split in data.splits.items()])
        one, other = (splits(data) for data in found)
        for number in range(shared):
            assert one[f"{('cat', 'dog')[number % 2]}/{number:02d}.png"] == other[f"JPEGImages/p{number:03d}.png"]
        # 15 of each class: 3 in val, 4 in test, in both tasks.
        assert counts(found[0]) == {"train": {0: 8, 1: 8}, "val": {0: 3, 1: 3}, "test": {0: 4, 1: 4}}
        assert {split: len(records) for split, records in found[1].splits.items()} == {"train": 16, "val": 6, "test": 8}


def test_the_other_task_follows_given_splits(tmp_path: Path) -> None:
    cls, det = both_tasks(tmp_path, 30)
    (det / "ImageSets/Main/train.txt").write_text("\n".join(f"p{number:03d}" for number in range(20)))
    (det / "ImageSets/Main/val.txt").write_text("\n".join(f"p{number:03d}" for number in range(20, 24)))
    (det / "ImageSets/Main/test.txt").write_text("\n".join(f"p{number:03d}" for number in range(24, 30)))
    data, other = read(cls, det=det)
    assert {split: len(records) for split, records in data.splits.items()} == {"train": 20, "val": 4, "test": 6}
    check_disjoint([split for one in (data, other) for split in one.splits.items()])


def test_tasks_without_shared_photographs_are_drawn_as_alone(tmp_path: Path) -> None:
    cls, det = both_tasks(tmp_path, 0)
    both, alone = read(cls, det=det), read(cls)
    assert both[0] == alone[0]


def test_the_same_picture_in_two_classes_is_a_fault(tmp_path: Path) -> None:
    for number in range(20):
        save(tmp_path / ("cat", "dog")[number % 2] / f"{number:02d}.png", photo(number))
    save(tmp_path / "dog/00.png", photo(0))
    with pytest.raises(
        UserError, match=r"the same image is in two classes: cat/00\.png \(cat\), dog/00\.png \(dog\); r"
    ):
        read(tmp_path)
    data = read(tmp_path, strict=False)[0]
    assert (sum(map(len, data.splits.values())), data.dropped.images) == (19, 2)


def test_a_class_with_as_many_groups_as_splits_is_in_each() -> None:
    """Groups of 10, 10 and 10: by the shares alone (18, 6, 6), train would get two of them."""
    groups = [[(0, 10 * group + index) for index in range(10)] for group in range(3)]
    found = draw([Draw(dict.fromkeys(range(30), 0), (0.2, 0.2), {})], groups, 0)
    assert Counter(found.values()) == {"train": 10, "val": 10, "test": 10}


def test_a_class_of_which_most_belong_together_is_said() -> None:
    """90 of 100 images are one cluster, which goes to train: 20 and 30 were wanted for val and test."""
    draws = [Draw(dict.fromkeys(range(100), 0), (0.2, 0.3), {})]
    found = draw(draws, [[(0, place) for place in range(90)]], seed=0)
    lacking = starved(draws, found)
    assert [(split, wanted) for _, _, split, _, wanted in lacking] == [("val", 20), ("test", 30)]
    assert sum(have for *_, have, _ in lacking) == 10
    assert starved(draws, draw(draws, [], seed=0)) == []


def test_a_class_of_too_few_groups_is_refused(tmp_path: Path) -> None:
    for number in range(24):
        patient = number // 4 if number % 2 else number // 16
        save(tmp_path / ("ill", "well")[number % 2] / f"{'ab'[number % 2]}{patient}_{number:02d}.png", photo(number))
    with pytest.raises(UserError, match=r"download\.cls: class 'ill' has 2 groups of images, or different images, but"):
        read(tmp_path, group="{patient}_*")


def test_both_tasks_from_one_folder(tmp_path: Path) -> None:
    """XML files beside the images of class folders."""
    for number in range(20):
        name = ("cat", "dog")[number % 2]
        save(tmp_path / name / f"{number:02d}.png", photo(number))
        page = voc_xml(Photo(f"p{number:03d}", "train", (48, 40), ((number % 2, 4, 2, 20, 12),)))
        (tmp_path / name / f"{number:02d}.xml").write_text(page, encoding="utf-8")
    data, other = read(tmp_path, det=tmp_path)
    assert splits(data) == splits(other)
    assert (data.names, other.names) == (("cat", "dog"), ("cat", "dog"))
    assert counts(data) == {"train": {0: 5, 1: 5}, "val": {0: 2, 1: 2}, "test": {0: 3, 1: 3}}


def test_a_compressed_copy_follows_the_given_splits_of_the_other_task(tmp_path: Path) -> None:
    """As the photographs of cls that were made from those of det."""
    cls, det = both_tasks(tmp_path, 30)
    for split, numbers in {"train": range(20), "val": range(20, 24), "test": range(24, 30)}.items():
        (det / f"ImageSets/Main/{split}.txt").write_text("\n".join(f"p{number:03d}" for number in numbers))
    for path in sorted(cls.rglob("*.png")):
        again(Image.open(path)).save(path.with_suffix(".jpg"))
        path.unlink()
    data, other = (splits(one) for one in read(cls, det=det))
    for number in range(30):
        assert data[f"{('cat', 'dog')[number % 2]}/{number:02d}.jpg"] == other[f"JPEGImages/p{number:03d}.png"]


def test_a_lookalike_in_another_given_split_does_not_part_copies(tmp_path: Path) -> None:
    """Photograph 25, in det's test, looks like photograph 0, in det's train; cls has the same photographs."""
    cls, det = both_tasks(tmp_path, 30)
    again(photo(0)).resize((48, 40)).save(cls / "dog/25.png")
    (det / "JPEGImages/p025.png").write_bytes((cls / "dog/25.png").read_bytes())
    for split, numbers in {"train": range(20), "val": range(20, 24), "test": range(24, 30)}.items():
        (det / f"ImageSets/Main/{split}.txt").write_text("\n".join(f"p{number:03d}" for number in numbers))
    found = read(cls, det=det)
    check_disjoint([split for one in found for split in one.splits.items()])
    data, other = map(splits, found)
    for number in range(30):
        assert data[f"{('cat', 'dog')[number % 2]}/{number:02d}.png"] == other[f"JPEGImages/p{number:03d}.png"]


def test_a_photograph_in_two_given_splits_is_drawn_where_its_copy_stays() -> None:
    """Of copies in train and val, that in val stays."""
    sets = [Draw({0: 0}, (0.2, 0.2), {}), Draw({}, (0.0, 0.0), {0: "train", 1: "val"})]
    assert draw(sets, [[(0, 0), (1, 0), (1, 1)]], 0) == {(0, 0): "val"}


def test_a_large_group_is_no_fixed_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve of 20 photographs are of one patient, and two others look alike."""
    for number in range(20):
        patient = "a" if number < 12 else f"b{number}"
        save(tmp_path / ("cat", "dog")[number % 2] / f"{patient}_{number:02d}.png", photo(number))
    save(tmp_path / "cat/c_1.jpg", again(photo(16)))
    found = splits(read(tmp_path, group="{patient}_*")[0])
    assert {split for id, split in found.items() if "/a_" in id} == {"train"}
    assert found["cat/c_1.jpg"] == found["cat/b16_16.png"]
    assert "fixed camera" not in capsys.readouterr().out
