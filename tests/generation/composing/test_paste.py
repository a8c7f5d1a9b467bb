from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from diffaug.dataset.codec import encode_png
from diffaug.dataset.provenance import Provenance
from diffaug.dataset.records import Record, make_record
from diffaug.generation.composing.paste import Cut, compose
from diffaug.generation.plan.jobs import SceneJob
from diffaug.params.generate import Paste

PASTE = {
    **{"weight": 1, "objects": "generated", "items_per_class": 1, "max_objects": 3, "scale": [1.0, 1.0]},
    **{"max_overlap": 0.0, "min_visible": 1.0, "min_labelled": 0.5, "feather": 0},
}
SQUARE = Cut(Image.new("LA", (8, 8), (255, 255)), 1, "a white square")


def params(**changes: Any) -> Paste:
    return Paste.model_validate(PASTE | changes)


def source(size: int = 64, boxes: tuple = (), shade: int = 90) -> Record:
    return make_record(
        "s", encode_png(Image.new("L", (size, size), shade)), "train", bbox=boxes, category=(0,) * len(boxes)
    )


def scene(real: Record, given: Paste, cuts: int = 1, seed: int = 5, side: float = 8.0, cut: Cut = SQUARE) -> Record:
    job = SceneJob("paste-000000", 0, "paste", "s", ("item",) * cuts, seed)
    return compose(job, real, [cut] * cuts, [[side], [side]], given, Provenance(model="m", settings={"fit": "pad"}))


def test_pasting_keeps_the_real_boxes_and_adds_exact_ones() -> None:
    real = source(boxes=((40.5, 40.0, 20.0, 20.25),))
    record = scene(real, params(), cuts=2)
    assert record.bbox[0] == real.bbox[0]
    assert record.category == (0, 1, 1)
    image = record.open()
    for x, y, width, height in record.bbox[1:]:
        assert (width, height) == (8, 8)
        assert image.crop((int(x), int(y), int(x) + 8, int(y) + 8)).getextrema() == (255, 255)
    assert sum(image.histogram()[255:]) == 2 * 64
    assert (record.origin, record.split, record.source_id, record.model) == ("synthetic", "train", "s", "m")
    assert (record.prompt, record.mode) == ("a white square | a white square", "paste")
    assert record == scene(real, params(), cuts=2)
    assert record.image != scene(real, params(), cuts=2, seed=6).image


def test_a_sliver_at_the_border_keeps_its_label() -> None:
    real = source(boxes=((63.6, 63.7, 0.4, 0.3),))
    assert scene(real, params(), cuts=0).bbox == real.bbox


def test_a_place_that_is_not_found_leaves_the_scene_as_it_was() -> None:
    real = source(32, ((0.0, 0.0, 32.0, 32.0),))
    record = scene(real, params())
    assert (record.bbox, record.prompt) == (real.bbox, None)
    assert record.open().tobytes() == real.open().tobytes()


def test_objects_are_as_large_as_real_ones_of_their_class() -> None:
    sizes = set()
    for seed in range(20):
        job = SceneJob("p", 0, "paste", "s", ("item",), seed)
        record = compose(job, source(), [SQUARE], [[50.0], [10.0, 20.0]], params(), Provenance())
        sizes.add(record.bbox[0][2:])
    assert sizes == {(10.0, 10.0), (20.0, 20.0)}


@pytest.mark.parametrize("min_visible", [0.5, 0.8, 1.0])
def test_an_object_may_leave_the_scene_as_far_as_enough_of_it_is_seen(min_visible: float) -> None:
    areas = set()
    for seed in range(60):
        record = scene(source(20), params(min_visible=min_visible), seed=seed, side=16.0)
        x, y, width, height = record.bbox[0]
        assert x >= 0 and y >= 0 and x + width <= 20 and y + height <= 20
        assert width * height >= min_visible * 16 * 16
        assert sum(record.open().histogram()[255:]) == width * height
        areas.add(width * height)
    assert (len(areas) > 1) is (min_visible < 1)


def test_a_covered_side_shrinks_the_box_and_a_hidden_object_loses_its_label() -> None:
    seen = set()
    for seed in range(40):
        real = source(24, ((8.0, 8.0, 8.0, 8.0),))
        record = scene(real, params(max_overlap=1.0, min_visible=0.5), seed=seed, side=16.0)
        white = np.asarray(record.open()) == 255
        visible = ~white[8:16, 8:16]
        kept = [box for box, category in zip(record.bbox, record.category) if category == 0]
        assert bool(kept) is bool(visible.mean() >= 0.5)
        if kept:
            rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
            expected = (8 + columns[0], 8 + rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
            assert kept[0] == expected
            seen.add(kept[0][2:])
    assert len(seen) > 2


def test_other_pixels_are_never_touched_and_edges_are_soft_inside() -> None:
    disc = Image.new("LA", (15, 15))
    ImageDraw.Draw(disc).ellipse([0, 0, 14, 14], fill=(255, 255))
    record = scene(source(shade=0), params(feather=3), side=15.0, cut=Cut(disc, 1, None))
    x, y, width, height = (int(value) for value in record.bbox[0])
    pixels = np.asarray(record.open())
    inside = np.zeros_like(pixels, dtype=bool)
    inside[y : y + height, x : x + width] = True
    assert (pixels[~inside] == 0).all()
    assert (width, height) == (15, 15) and pixels.max() == 255
    assert 0 < pixels[y + 7, x] < 128
