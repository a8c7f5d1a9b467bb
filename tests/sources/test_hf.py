from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from photos import read, two_hundred, without_ids, write_coco
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record, write_set
from diffaug.params.download import DownloadParams, HubBoxes, HubLabels
from diffaug.runtime.errors import UserError
from diffaug.sources.real import RealData, check_classes, check_disjoint
from diffaug.sources.tasks import read_both

OURS = {"train": "train", "val": "validation", "test": "test"}


def load(
    folder: Path, work: Path, strict: bool = True, splits: dict[str, Any] | None = None, **columns: str
) -> RealData:
    """Read a folder with the params of the task to which `columns` belongs."""
    task, model = ("det", HubBoxes) if "objects" in columns else ("cls", HubLabels)
    source = model.model_validate(
        {"source": "hf", "name": str(folder), "splits": splits or OURS, "val_fraction": 0.2, "test_fraction": 0.2}
        | {"image": "image"}
        | columns
    )
    params = DownloadParams(**{"seed": 0, "strict": strict, "cls": None, "det": None, task: source})
    return read_both(params, work)[task == "det"]


def noise(seed: int) -> bytes:
    return encode_png(Image.fromarray(np.random.default_rng(seed).integers(256, size=(6, 7), dtype=np.uint8)))


def labelled(root: Path, per_split: int = 6) -> Path:
    """Our own layout: one folder per split, with Parquet files."""
    for part, split in enumerate(("train", "val", "test")):
        records = [make_record(f"{n}", noise(100 * part + n), split, label=n % 2) for n in range(per_split)]
        write_set(root / split, ("cat", "狗"), records)
    return root


def test_our_own_sets_with_labels(tmp_path: Path) -> None:
    data = load(labelled(tmp_path / "set"), tmp_path / "work", label="label")
    assert data.names == ("cat", "狗")
    for part, split in enumerate(("train", "val", "test")):
        assert [(r.image, r.label) for r in data.splits[split]] == [(noise(100 * part + n), n % 2) for n in range(6)]
    assert data.splits["val"][0].id == "validation/000000"
    check_classes(data, "here")
    check_disjoint(data.splits.items())


def test_our_own_sets_with_boxes(tmp_path: Path) -> None:
    source = read(write_coco(tmp_path / "coco", two_hundred()[:30]))
    for split, records in source.splits.items():
        write_set(tmp_path / "set" / split, source.names, records)
    data = load(tmp_path / "set", tmp_path / "work", objects="objects")
    assert data.names == source.names
    assert without_ids(data) == without_ids(source)


def test_splits_that_are_null_are_drawn_from_train(tmp_path: Path) -> None:
    splits = {"train": "train", "val": None, "test": "test"}
    data = load(labelled(tmp_path / "set", 10), tmp_path / "work", splits=splits, label="label")
    assert {split: len(records) for split, records in data.splits.items()} == {"train": 8, "val": 2, "test": 10}


def save(root: Path, columns: dict[str, list[Any]], features: dict[str, Any]) -> Path:
    """A folder with train.parquet."""
    root.mkdir()
    features = datasets.Features({"image": datasets.Image(), **features})
    count = len(next(iter(columns.values())))
    images = [{"bytes": noise(n), "path": None} for n in range(count)]
    columns = {"image": columns.get("image", images), **{k: v for k, v in columns.items() if k != "image"}}
    datasets.Dataset.from_dict(columns, features=features).to_parquet(root / "train-00000.parquet")
    return root


TRAIN = {"train": "train", "val": None, "test": None}
WORDS = datasets.Value("string")
BOXES = {"bbox": datasets.List(datasets.List(datasets.Value("float32"))), "category": datasets.List(WORDS)}


def test_words_are_classes_too(tmp_path: Path) -> None:
    root = save(tmp_path / "set", {"kind": ["b", "a", "b", "a", "b", "a"]}, {"kind": WORDS})
    data = load(root, tmp_path / "work", splits=TRAIN, label="kind")
    assert data.names == ("a", "b")
    assert {split: len(records) for split, records in data.splits.items()} == {"train": 2, "val": 2, "test": 2}


@pytest.mark.parametrize("listed", [False, True], ids=["lists", "list of mappings"])
def test_both_ways_to_write_objects(tmp_path: Path, listed: bool) -> None:
    one, other = ([1.0, 2.0, 3.0, 4.0], "a"), ([0.0, 0.0, 7.0, 6.0], "b")
    rows: list[Any] = [{"bbox": [one[0], other[0]], "category": [one[1], other[1]]} for _ in range(6)]
    features: Any = BOXES
    if listed:
        rows = [[{"bbox": box, "category": word} for box, word in (one, other)] for _ in rows]
        features = datasets.List({"bbox": datasets.List(datasets.Value("float32")), "category": WORDS})
    root = save(tmp_path / "set", {"boxes": rows}, {"boxes": features})
    data = load(root, tmp_path / "work", splits=TRAIN, objects="boxes")
    assert data.names == ("a", "b")
    assert {record.bbox for split in data.splits.values() for record in split} == {((1, 2, 3, 4), (0, 0, 7, 6))}


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([1.0, 2.0, 3.0], "is not .x, y, width, height. in numbers"),
        ([1.0, 2.0, float("nan"), 4.0], "not a finite number"),
        ([1.0, 2.0, 0.0, 4.0], "has no area"),
        ([5.0, 2.0, 6.0, 4.0], "leaves its image of 7 x 6 pixels by 4"),
        ([0.0, 0.0, 2.0, 2.0], "occurs twice"),
    ],
)
def test_a_bad_box_is_a_fault_by_row_and_object(tmp_path: Path, box: list[float], words: str) -> None:
    rows = [{"bbox": [[0.0, 0.0, 2.0, 2.0]], "category": ["a"]} for _ in range(6)]
    rows[3] = {"bbox": [[0.0, 0.0, 2.0, 2.0], box], "category": ["a", "a"]}
    root = save(tmp_path / "set", {"boxes": rows}, {"boxes": BOXES})
    with pytest.raises(UserError, match=rf"set, train row 3, object 1: .*{words}"):
        load(root, tmp_path / "work", splits=TRAIN, objects="boxes")
    assert load(root, tmp_path / "work", False, splits=TRAIN, objects="boxes").dropped.rows == 1


def test_a_hidden_label_and_a_broken_image_are_faults(tmp_path: Path) -> None:
    labels = datasets.ClassLabel(names=["a", "b"])
    images = [{"bytes": noise(n) if n else b"broken", "path": None} for n in range(9)]
    columns = {"label": [0, 1, 0, 1, 0, 1, 0, 1, -1], "image": images}
    root = save(tmp_path / "set", columns, {"label": labels})
    with pytest.raises(UserError, match=r"train row 8: label -1 is unknown, allowed are a, b; and 1 more \(1 x unread"):
        load(root, tmp_path / "work", splits=TRAIN, label="label")
    data = load(root, tmp_path / "work", False, splits=TRAIN, label="label")
    assert data.dropped.images == 2


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"label": "kind"}, "has no column 'kind'; it has id, image, sha256, split, label, objects,"),
        ({"label": "label", "image": "picture"}, "has no column 'picture'; it has"),
        ({"label": "label", "image": "id"}, r"the column 'id' of .* has no images; columns with images: image"),
        ({"label": "steps"}, r"label must be class labels with names, or words; found Value"),
        ({"objects": "label"}, r"download\.det\.objects: 'label' of .* needs bbox and category; found"),
        (
            {"label": "label", "splits": {**OURS, "val": "dev"}},
            r"split 'dev', cannot be loaded \(.*dev.*\); correct name",
        ),
        ({"label": "label", "config": "other"}, r"cannot be loaded \(.*other.*\); correct name, config"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, columns: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        load(labelled(tmp_path / "set"), tmp_path / "work", **columns)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"download\.cls\.name: the folder .*nowhere does not exist"):
        load(tmp_path / "nowhere", tmp_path / "work", label="label")


def test_a_column_of_groups_keeps_them_in_one_split(tmp_path: Path) -> None:
    columns = {"kind": ["a", "b"] * 10, "patient": [number // 4 for number in range(20)]}
    root = save(tmp_path / "set", columns, {"kind": WORDS, "patient": datasets.Value("int32")})
    data = load(root, tmp_path / "work", splits=TRAIN, label="kind", group="patient")
    found = {(int(record.id[-6:]) // 4, split) for split, records in data.splits.items() for record in records}
    assert len(found) == 5
    assert {split: len(records) for split, records in data.splits.items()} == {"train": 12, "val": 4, "test": 4}
    with pytest.raises(UserError, match=r"has no column 'clinic'; it has image, kind, patient"):
        load(root, tmp_path / "work", splits=TRAIN, label="kind", group="clinic")


def test_a_row_without_its_group_is_refused(tmp_path: Path) -> None:
    columns = {"kind": ["a", "b"] * 3, "patient": ["x", "y", None, "x", "y", "z"]}
    root = save(tmp_path / "set", columns, {"kind": WORDS, "patient": WORDS})
    with pytest.raises(UserError, match="set, train row 2: patient is None; a group must be a text or a number"):
        load(root, tmp_path / "work", splits=TRAIN, label="kind", group="patient")
