import numpy as np
import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.pictures.masks import boxed, composite, part_mask, put_back, repaint_mask

Slices = list[tuple[slice, slice]]  # rows, columns


def scene(boxes: list[tuple[float, float, float, float]]) -> Record:
    image = Image.new("RGB", (12, 8))
    return make_record("s", encode_png(image), "train", bbox=tuple(boxes), category=(0,) * len(boxes))


def mask(shape: tuple[int, int], *places: tuple[slice, slice]) -> np.ndarray:
    result = np.zeros(shape, dtype=bool)
    for place in places:
        result[place] = True
    return result


@pytest.mark.parametrize(
    ("boxes", "places"),
    [
        ([], []),
        ([(1, 2, 3, 2)], [np.s_[2:4, 1:4]]),
        ([(1.2, 2.5, 3.1, 2.0)], [np.s_[2:5, 1:5]]),
        ([(1.9, 2.9, 0.2, 0.2)], [np.s_[2:4, 1:3]]),
        ([(-1.5, -0.5, 3, 2)], [np.s_[0:2, 0:2]]),
        ([(10.5, 6.5, 5, 5)], [np.s_[6:8, 10:12]]),
        ([(0, 0, 2, 2), (1, 1, 2, 2)], [np.s_[0:2, 0:2], np.s_[1:3, 1:3]]),
    ],
)
def test_boxes_cover_every_pixel_they_touch(boxes: list[tuple[float, float, float, float]], places: Slices) -> None:
    found = boxed(scene(boxes))
    assert found.dtype == bool
    assert np.array_equal(found, mask((8, 12), *places))


@pytest.mark.parametrize(
    ("padding", "grown"), [(0, np.s_[3:4, 1:3]), (1, np.s_[2:5, 0:4]), (2, np.s_[1:6, 0:5]), (9, np.s_[0:8, 0:8])]
)
def test_objects_are_grown_on_every_side(padding: int, grown: tuple[slice, slice]) -> None:
    objects = mask((8, 8), np.s_[3:4, 1:3])
    assert np.array_equal(repaint_mask(objects, "object", padding), mask((8, 8), grown))
    assert np.array_equal(repaint_mask(objects, "background", padding), ~mask((8, 8), grown))


def test_a_scene_without_objects_is_all_background() -> None:
    assert repaint_mask(boxed(scene([])), "background", 3).all()


@pytest.mark.parametrize(
    ("feather", "row"),
    [
        (0, [10, 10, 10, 210, 210, 210, 210, 210]),
        (1, [10, 10, 10, 110, 210, 210, 210, 210]),
        (3, [10, 10, 10, 60, 110, 160, 210, 210]),
    ],
)
def test_the_seam_is_blended_outside_of_what_is_kept(feather: int, row: list[int]) -> None:
    changes = mask((5, 8), np.s_[:, 3:])
    source, drawn = Image.new("L", (8, 5), 10), Image.new("RGB", (8, 5), (210, 210, 210))
    result = composite(source, drawn, changes, feather)
    assert result.mode == "L"
    assert np.asarray(result).tolist() == [row] * 5


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("feather", [0, 1, 4])
def test_kept_pixels_are_the_sources_and_far_ones_the_drawings(mode: str, feather: int) -> None:
    generator = np.random.default_rng(0)
    source, drawn = (
        Image.fromarray(generator.integers(256, size=(20, 24, 3), dtype=np.uint8)).convert(mode) for _ in range(2)
    )
    kept, near = mask((20, 24), np.s_[8:12, 9:14]), mask((20, 24), np.s_[3:17, 4:19])
    result = np.asarray(composite(source, drawn, ~kept, feather))
    assert np.array_equal(result[kept], np.asarray(source)[kept])
    assert np.array_equal(result[~near], np.asarray(drawn)[~near])
    assert np.array_equal(result[~kept], np.asarray(drawn)[~kept]) is (feather == 0)


@pytest.mark.parametrize("feather", [0, 5])
def test_all_or_nothing(feather: int) -> None:
    source, drawn = Image.new("RGB", (4, 4), (1, 2, 3)), Image.new("RGB", (4, 4), (200, 100, 50))
    assert composite(source, drawn, np.ones((4, 4), dtype=bool), feather) == drawn
    assert composite(source, drawn, np.zeros((4, 4), dtype=bool), feather) == source


FIRST, SECOND = np.s_[2:5, 3:6], np.s_[4:7, 5:8]


@pytest.mark.parametrize(
    ("mode", "object", "padding", "changed", "kept"),
    [
        ("img2img", -1, 0, np.s_[1:7, 2:11], []),
        ("inpaint_background", -1, 0, np.s_[1:7, 2:11], [FIRST, SECOND]),
        ("inpaint_background", -1, 1, np.s_[1:7, 2:11], [np.s_[1:6, 2:7], np.s_[3:8, 4:9]]),
        ("inpaint_object", 0, 0, FIRST, [SECOND]),  # the part that the other box overlaps stays
        ("inpaint_object", 1, 0, SECOND, [FIRST]),
    ],
)
def test_what_a_mode_may_change_of_a_region(
    mode: str, object: int, padding: int, changed: tuple[slice, slice], kept: list[tuple[slice, slice]]
) -> None:
    record = scene([(3, 2, 3, 3), (5, 4, 3, 3)])
    expected = mask((8, 12), changed)
    for place in kept:
        expected[place] = False
    assert np.array_equal(part_mask(record, mode, (2, 1, 11, 7), object, padding), expected)


def test_a_region_is_put_back_with_a_soft_edge_inside_of_it() -> None:
    source, drawn = Image.new("L", (8, 5), 10), Image.new("L", (5, 5), 210)
    region = (3, 0, 8, 5)  # its right, upper and lower edges are the scene's own
    result = put_back(source, drawn, region, mask((5, 8), np.s_[:, 3:]), 1)
    assert np.asarray(result).tolist() == [[110, 210, 210, 210, 210]] * 5
    assert put_back(source, drawn, region, mask((5, 8), np.s_[:, 3:]), 0) == drawn
    assert put_back(source, drawn, region, mask((5, 8)), 1) == source.crop(region)
