"""A part of the images, to try a run on."""

from collections import Counter
from pathlib import Path

import pytest
from photos import Photo, read, write_coco
from PIL import Image

from diffaug.params.download import BoxFolder, Folder
from diffaug.sources.class_folders import class_folders
from diffaug.sources.folder import find_cls, find_det
from diffaug.sources.labelled import Item, Labelled, Object
from diffaug.sources.limits import limited
from diffaug.sources.real import Inputs, RealData


def item(id: str, split: str, label: int) -> Item:
    return Item(id, split, bytes, id, label=label)


def test_each_class_has_at_most_this_many_images_in_each_split() -> None:
    counts = {("train", 0): 20, ("train", 1): 3, ("test", 0): 4, ("test", 1): 9}
    items = [item(f"{s}{c}{n:02d}", s, c) for (s, c), count in counts.items() for n in range(count)]
    labelled = Labelled(("a", "b"), tuple(items), frozenset({"train", "test"}))
    found = limited(labelled, 5, 0)
    kept = Counter((one.split, one.label) for one in found.items)
    assert kept == {("train", 0): 5, ("train", 1): 3, ("test", 0): 4, ("test", 1): 5}
    assert [one.id for one in found.items] == sorted((one.id for one in found.items), key=[i.id for i in items].index)
    assert found == limited(labelled, 5, 0)
    assert found != limited(labelled, 5, 1)
    assert limited(labelled, None, 0) is labelled


def test_without_splits_the_limit_is_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(40):
        path = tmp_path / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4), number).save(path)
    source = Folder(source="folder", path=str(tmp_path), val_fraction=0.2, test_fraction=0.3, limit_per_class=10)
    found = find_cls(source, Inputs(0, True, tmp_path, RealData((), {})))
    assert Counter(one.label for one in found.items) == {0: 10, 1: 10}
    assert len(class_folders(source).items) == 40
    assert "download: limit_per_class 10: 20 of 40 images are taken" in capsys.readouterr().out


def test_boxes_are_taken_until_each_class_has_enough() -> None:
    """Of 40 images of a cat, 2 of a dog and 21 of nothing: 6 cats and both dogs, which is 8 of 42, and so 4 of 21."""

    def boxes(*categories: int) -> tuple[Object, ...]:
        return tuple(Object("", category, (0, 0, 1, 1), "") for category in categories)

    kinds = [boxes(0)] * 40 + [boxes(1)] * 2 + [boxes()] * 21
    items = tuple(Item(f"{n:02d}", "train", bytes, "", objects=kind) for n, kind in enumerate(kinds))
    found = limited(Labelled(("cat", "dog"), items, frozenset({"train"})), 6, 0).items
    assert Counter(thing.category for one in found for thing in one.objects) == {0: 6, 1: 2}
    assert sum(not one.objects for one in found) == 4


def test_a_limit_of_boxes_is_read(tmp_path: Path) -> None:
    photos = [Photo(f"p{n:03d}", ("train", "test")[n % 2], (40, 20), ((n // 2 % 2, 4, 2, 20, 12),)) for n in range(40)]
    root = write_coco(tmp_path, photos)
    source = BoxFolder(source="folder", path=str(root), val_fraction=0.2, test_fraction=0.3, limit_per_class=3)
    found = find_det(source, Inputs(0, True, tmp_path, RealData((), {})))
    kept = Counter((one.split, thing.category) for one in found.items for thing in one.objects)
    assert kept == {("train", 0): 3, ("train", 1): 3, ("test", 0): 3, ("test", 1): 3}
    assert sum(map(len, read(root).splits.values())) == 40
