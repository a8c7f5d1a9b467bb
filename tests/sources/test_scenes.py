from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record
from diffaug.params.download import Scenes
from diffaug.pictures.boxes import shared
from diffaug.sources.real import Inputs, RealData
from diffaug.sources.scenes import read_det


def test_scenes_use_their_own_splits_items_and_repeat() -> None:
    shades = {"train": 255, "val": 250, "test": 245}
    splits = {
        split: tuple(
            make_record(f"{split}{label}", encode_png(_square(shade)), split, label=label) for label in range(2)
        )
        for split, shade in shades.items()
    }
    cls = RealData(("a", "b"), splits)
    params = Scenes(source="scenes", size=96, train=30, val=8, test=8, max_objects=3)
    inputs = Inputs(0, True, Path("unused"), cls)
    data = read_det(params, inputs)
    assert data == read_det(params, inputs)
    assert {split: len(records) for split, records in data.splits.items()} == {"train": 30, "val": 8, "test": 8}
    for split, records in data.splits.items():
        for record in records:
            pixels = np.asarray(record.open())
            assert pixels.shape == (96, 96)
            for x, y, width, height in record.bbox:
                middle = pixels[int(y + height / 2), int(x + width / 2)]
                assert middle == shades[split]
                assert 0 <= x <= x + width <= 96 and 0 <= y <= y + height <= 96
    counts = [len(record.bbox) for record in data.splits["train"]]
    assert (min(counts), max(counts)) == (0, 3)


def test_objects_keep_apart() -> None:
    square = make_record("t0", encode_png(_square(200)), "train", label=0)
    cls = RealData(("a",), {split: (replace(square, split=split),) for split in ("train", "val", "test")})
    params = Scenes(source="scenes", size=64, train=40, val=1, test=1, max_objects=12)
    crowded = 0
    for record in read_det(params, Inputs(0, True, Path("unused"), cls)).splits["train"]:
        crowded += len(record.bbox) > 2
        for number, box in enumerate(record.bbox):
            for other in record.bbox[:number]:
                assert shared(box, other) <= 0.15 * min(box[2] * box[3], other[2] * other[3]) + 1e-6
    assert crowded > 5


def _square(shade: int) -> Image.Image:
    image = Image.new("L", (24, 24))
    image.paste(shade, (4, 4, 20, 20))
    return image
