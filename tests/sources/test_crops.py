from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.params.download import Crops
from diffaug.pictures.boxes import XYWH
from diffaug.sources.crops import read_cls
from diffaug.sources.real import Inputs, RealData


def picture(id: str, split: str, boxes: list[XYWH], seed: int, categories: tuple[int, ...] | None = None) -> Record:
    """40 x 30 pixels of noise."""
    pixels = np.random.default_rng(seed).integers(256, size=(30, 40), dtype=np.uint8)
    data = encode_png(Image.fromarray(pixels))
    return make_record(id, data, split, bbox=tuple(boxes), category=categories or (0,) * len(boxes))


def real(train: list[Record], test: list[Record] | None = None) -> RealData:
    return RealData(("a", "b"), {"train": tuple(train), "val": (), "test": tuple(test or ())})


def crops(params: Crops, det: RealData, seed: int) -> RealData:
    return read_cls(params, Inputs(seed, True, Path("unused"), det))


def params(context: float = 1.0, min_side: int = 1, per_class: int | None = None) -> Crops:
    return Crops(source="crops", context=context, min_side=min_side, per_class=per_class)


@pytest.mark.parametrize(
    ("box", "context", "window"),
    [
        ((10.0, 8.0, 12.0, 12.0), 1.0, (10, 8, 22, 20)),
        ((10.0, 8.0, 12.0, 6.0), 1.0, (10, 5, 22, 17)),  # a square of the longer side
        ((10.0, 8.0, 12.0, 6.0), 1.5, (7, 2, 25, 20)),
        ((0.0, 0.0, 12.0, 12.0), 2.0, (0, 0, 24, 24)),  # shifted into the image
        ((34.0, 26.0, 6.0, 4.0), 1.5, (31, 21, 40, 30)),
        ((10.2, 8.0, 12.0, 12.0), 1.0, (10, 8, 22, 20)),
        ((0.0, 0.0, 40.0, 30.0), 3.0, (0, 0, 40, 30)),
    ],
)
def test_the_window(box: XYWH, context: float, window: tuple[int, int, int, int]) -> None:
    source = picture("x/p.png", "train", [box], 0)
    record = crops(params(context), real([source]), 0).splits["train"][0]
    left, top, right, bottom = window
    assert np.array_equal(np.asarray(record.open()), np.asarray(source.open())[top:bottom, left:right])
    assert (record.id, record.label, record.split, record.bbox) == ("x/p.png/000", 0, "train", ())


def test_small_boxes_are_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    boxes = [(1.0, 1.0, 10.0, 4.9), (1.0, 1.0, 5.0, 5.0), (20.0, 20.0, 3.0, 9.0)]
    data = crops(params(min_side=5), real([picture("p", "train", boxes, 0)]), 0)
    assert [record.id for record in data.splits["train"]] == ["p/001"]
    assert "left out 2 boxes of train with a side below 5 pixels" in capsys.readouterr().out


def test_so_many_a_class_and_split_are_drawn_by_seed() -> None:
    boxes = [(float(x), 2.0, 4.0, 5.0) for x in range(0, 36, 4)]
    kinds = (0, 1, 0, 0, 1, 0, 0, 0, 0)
    train = [picture(f"p{n}", "train", boxes, n, kinds) for n in range(3)]
    det = real(train, [picture("t", "test", boxes, 9, kinds)])
    data = crops(params(per_class=5), det, 0)
    assert Counter(record.label for record in data.splits["train"]) == {0: 5, 1: 5}
    assert Counter(record.label for record in data.splits["test"]) == {0: 5, 1: 2}
    assert data == crops(params(per_class=5), det, 0)
    assert data != crops(params(per_class=5), det, 1)
    assert len(crops(params(), det, 0).splits["train"]) == 27


def test_the_same_pixels_in_two_splits_leave_train(capsys: pytest.CaptureFixture[str]) -> None:
    box = [(2.0, 2.0, 8.0, 8.0)]
    data = crops(params(), real([picture("p", "train", box, 0)], [picture("t", "test", box, 0)]), 0)
    assert {split: len(records) for split, records in data.splits.items()} == {"train": 0, "val": 0, "test": 1}
    assert data.dropped.images == 1
    assert "dropped 1 image (same image in two splits)" in capsys.readouterr().out
