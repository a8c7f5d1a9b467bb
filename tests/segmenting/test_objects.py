"""Which mask becomes the object of an image or of a box, and the masks that are kept in the work folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from segmenters import ellipses, inside

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.pictures.boxes import XYWH
from diffaug.segmenting.objects import Objects, Segment, Segmenter, assume_all

SIZE, BOX = (64, 48), (16, 8, 48, 40)


class Told:
    """A segmenter that gives the masks that it was told to give; it counts how often it is asked and loaded."""

    def __init__(self, *masks: np.ndarray, reads_text: bool = False) -> None:
        self.masks, self.asked, self.loaded = masks, list[tuple[XYWH | None, str]](), 0
        self.segmenter = Segmenter("told", "0" * 64, None, reads_text, {"segmenter": "told"}, self._load)

    def _load(self) -> Segment:
        self.loaded += 1
        return self._segment

    def _segment(self, image: Image.Image, box: XYWH | None, name: str) -> Sequence[np.ndarray]:
        self.asked.append((box, name))
        return self.masks


def record(image: Image.Image) -> Record:
    return make_record("p", encode_png(image), "train", label=0)


def picture(pixels: np.ndarray) -> Record:
    return record(Image.fromarray(pixels.astype(np.uint8)))


def area(*places: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], dtype=bool)
    for place in places:
        mask[place] = True
    return mask


PHOTO = ellipses(SIZE, {BOX: "cat"})


@pytest.mark.parametrize("color", [(), (3,)])
@pytest.mark.parametrize(("ground", "object"), [(200, 50), (0, 25), (255, 230)])
def test_an_object_on_a_plain_ground_is_found_without_a_segmenter(
    ground: int, object: int, color: tuple[int, ...]
) -> None:
    pixels = np.full((16, 20, *color), ground)
    pixels[4:11, 6:15] = object
    pixels[7, 9] = ground  # a hole belongs to the object
    pixels[13, 2] = object  # a speck does not
    told = Told()
    for objects in (Objects(), Objects(segmenter=told.segmenter)):
        found = objects.in_image(picture(pixels))
        assert found is not None and found[4:11, 6:15].all() and found.sum() == 7 * 9
    assert (told.loaded, told.asked) == (0, [])


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((16, 16), 90),
        np.add(np.full((16, 16), 90), np.eye(16) * 24),  # within the tolerance
        np.tile(np.arange(16) * 16, (16, 1)),
        np.random.default_rng(0).integers(256, size=(16, 16, 3)),
    ],
)
def test_where_no_object_is_clear_there_is_none(pixels: np.ndarray) -> None:
    assert Objects().in_image(picture(pixels)) is None


def test_without_a_segmenter_an_object_of_a_photograph_is_found_by_its_colours() -> None:
    wanted = inside((64, 64), (16, 16, 48, 48))
    found = Objects().in_image(record(ellipses((64, 64), {(16, 16, 48, 48): "cat"})))
    assert found is not None and (found & wanted).sum() / (found | wanted).sum() > 0.8
    box = (16.0, 8.0, 33.0, 33.0)
    cut = Objects().cut(PHOTO, box, "cat")
    assert cut is not None and 25 <= cut.width <= 33 and cut.getchannel("A").getextrema() == (0, 255)


def test_what_stands_out_beside_the_middle_of_a_plain_ground_is_not_the_object() -> None:
    """A network may still find one: the middle may be too like the ground for the colours alone."""
    pixels = np.full((48, 64), 90)
    pixels[2:12, 2:22] = 200
    assert Objects().in_image(picture(pixels)) is None
    found = Objects(segmenter=Told(MIDDLE).segmenter).in_image(picture(pixels))
    assert found is not None and np.array_equal(found, MIDDLE)


SMALL, LARGE = area(np.s_[20:26, 30:36]), area(np.s_[1:48, 0:64])  # 1 % and 98 % of the image
CORNER, MIDDLE = area(np.s_[0:20, 0:20]), area(np.s_[10:40, 20:50])


def test_the_first_plausible_mask_is_the_object() -> None:
    told = Told(SMALL, LARGE, CORNER, MIDDLE | SMALL, area(np.s_[12:30, 20:50]))
    found = Objects(segmenter=told.segmenter).in_image(record(PHOTO), "cat")
    assert found is not None and np.array_equal(found, MIDDLE)


def test_of_a_mask_the_largest_part_is_taken_and_its_holes_are_filled() -> None:
    hole = MIDDLE & ~area(np.s_[20:24, 30:34])
    told = Told(hole | area(np.s_[0:5, 0:5]))
    found = Objects(segmenter=told.segmenter).in_image(record(PHOTO))
    assert found is not None and np.array_equal(found, MIDDLE)


@pytest.mark.parametrize(
    ("mask", "size"),
    [
        (area(np.s_[10:40, 20:50]), (30, 30)),
        (area(np.s_[5:45, 10:60]), (30, 30)),  # what is outside of the box is left out
        (area(np.s_[10:24, 20:34]), None),  # less than half of the box's height and width
        (area(np.s_[10:40, 20:22]), None),
        (area(np.s_[10:20, 20:50], np.s_[30:40, 20:50]), None),  # the middle of the box is free
    ],
)
def test_what_is_not_most_of_its_box_is_not_its_object(mask: np.ndarray, size: tuple[int, int] | None) -> None:
    cut = Objects(segmenter=Told(mask).segmenter).cut(PHOTO, (20.0, 10.0, 30.0, 30.0), "cat")
    assert (None if cut is None else cut.size) == size


def test_a_mask_is_found_once_and_then_read_without_the_network(tmp_path: Path) -> None:
    told, empty = Told(MIDDLE), Told()
    for objects in (Objects(tmp_path, told.segmenter), Objects(tmp_path, told.segmenter)):
        for _ in range(2):
            found = objects.in_image(record(PHOTO), "cat")
            assert found is not None and np.array_equal(found, MIDDLE)
    assert (told.loaded, len(told.asked), len(list(tmp_path.iterdir()))) == (1, 1, 1)
    nothing = Objects(tmp_path / "other", empty.segmenter)
    assert [nothing.in_image(record(PHOTO), "cat") for _ in range(2)] == [None, None]
    assert len(empty.asked) == 1  # that nothing was found is kept too


def test_masks_are_kept_by_pixels_box_and_what_the_network_reads(tmp_path: Path) -> None:
    told, reader = Told(MIDDLE), Told(MIDDLE, reads_text=True)
    objects = Objects(tmp_path / "told", told.segmenter)
    for image, box, name in (
        (PHOTO, (20.0, 10.0, 30.0, 30.0), "cat"),
        (PHOTO, (20.0, 10.0, 30.0, 30.0), "dog"),
        (PHOTO, (20.0, 10.0, 30.0, 29.0), "cat"),
        (ellipses(SIZE, {BOX: "dog"}), (20.0, 10.0, 30.0, 30.0), "cat"),
    ):
        objects.cut(image, box, name)
    assert len(told.asked) == 3 and {name for _, name in told.asked} == {""}
    texts = Objects(tmp_path / "reader", reader.segmenter, {"n02121808": "cat"})
    for name in ("n02121808", "cat", "dog"):
        texts.in_image(record(PHOTO), name)
    assert [name for _, name in reader.asked] == ["cat", "dog"]
    assert len({texts.made_from(name) for name in ("n02121808", "cat", "dog")}) == 2
    assert objects.made_from("cat") == objects.made_from("dog") != Objects().made_from("cat") == ""


@pytest.mark.parametrize("damage", [b"", b"no picture", None])
def test_a_damaged_mask_is_found_again(tmp_path: Path, damage: bytes | None) -> None:
    told = Told(MIDDLE)
    Objects(tmp_path, told.segmenter).in_image(record(PHOTO))
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:60] if damage is None else damage)
    found = Objects(tmp_path, told.segmenter).in_image(record(PHOTO))
    assert found is not None and np.array_equal(found, MIDDLE)
    assert kept.read_bytes() == whole


def test_a_released_network_is_loaded_again_when_it_is_needed() -> None:
    told = Told(MIDDLE)
    objects = Objects(segmenter=told.segmenter)
    objects.in_image(record(PHOTO))
    objects.release()
    objects.in_image(record(PHOTO))
    assert told.loaded == 2


def test_images_without_an_object_are_counted_once() -> None:
    objects = Objects()
    for _ in range(3):
        objects.in_image(record(ellipses((64, 64), {(16, 16, 48, 48): "cat"})))
        objects.in_image(picture(np.random.default_rng(0).integers(256, size=(16, 16, 3))))
    assert objects.missed == (1, 2)


def test_a_plan_before_the_network_has_run_counts_every_object() -> None:
    objects = assume_all("owner/network")
    assert objects.in_image(record(ellipses(SIZE, {}))) is not None
    cut = objects.cut(PHOTO, (20.0, 10.0, 30.0, 30.0), "cat")
    assert cut is not None and cut.size == (30, 30)
    assert objects.cut(PHOTO, (20.0, 10.0, 0.4, 30.0), "cat") is None
