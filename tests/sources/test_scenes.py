import numpy as np
from PIL import Image, ImageDraw

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record
from diffaug.params.download import Scenes
from diffaug.pictures.cutout import Item, cut_out, place
from diffaug.sources.real import RealData
from diffaug.sources.scenes import scenes


def ring() -> Image.Image:
    """A grey square from (5, 6) to (14, 17) with a hole, on black, and a speck."""
    image = Image.new("L", (24, 24))
    pen = ImageDraw.Draw(image)
    pen.rectangle([5, 6, 14, 17], fill=150)
    pen.rectangle([8, 9, 10, 11], fill=0)
    image.putpixel((21, 21), 200)
    return image


def test_the_object_is_cut_out_with_its_holes_and_without_specks() -> None:
    cut = cut_out(ring())
    assert (cut.mode, cut.size) == ("LA", (10, 12))
    assert np.asarray(cut.getchannel("A")).min() == 255


def test_an_object_that_touches_the_border_is_cut_out() -> None:
    image = Image.new("L", (20, 20))
    image.paste(180, (4, 0, 14, 20))  # 20 of the 80 border pixels
    cut = cut_out(image)
    assert cut is not None
    assert cut.size == (10, 20)


def test_a_picture_without_a_plain_background_stays_whole() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(256, size=(20, 30, 3), dtype=np.uint8))
    assert (cut_out(noise).mode, cut_out(noise).size) == ("RGBA", (30, 20))
    assert cut_out(Image.new("L", (6, 5), 7)) is None


def test_the_box_is_where_pixels_changed() -> None:
    disc = Image.new("L", (20, 20))
    ImageDraw.Draw(disc).ellipse([2, 4, 17, 15], fill=255)
    item = Item(cut_out(disc), 0)
    for seed in range(20):
        scene = Image.new("L", (64, 48), 100)
        placed = place(scene, item, [], (0.7, 1.8), 0.1, np.random.default_rng(seed))
        assert placed is not None
        # Half-transparent edge pixels lie outside the box, so only strongly changed ones count.
        ys, xs = np.nonzero(np.asarray(placed[0]).astype(int) - 100 > 77)
        assert placed[1] == (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1)
        assert np.array_equal(np.asarray(scene), np.full((48, 64), 100))


def test_objects_keep_apart() -> None:
    item = Item(cut_out(ring()), 0)
    generator = np.random.default_rng(0)
    scene, boxes = Image.new("L", (48, 48)), []
    for _ in range(8):
        placed = place(scene, item, boxes, (1.0, 1.0), 0.0, generator)
        if placed is not None:
            scene, box = placed
            boxes.append(box)
    assert len(boxes) >= 3
    taken = np.zeros((48, 48), dtype=int)
    for x, y, width, height in boxes:
        taken[int(y) : int(y + height), int(x) : int(x + width)] += 1
    assert taken.max() == 1


def test_what_finds_no_place_is_left_out() -> None:
    item = Item(cut_out(ring()), 0)
    scene = Image.new("L", (16, 16))
    generator = np.random.default_rng(0)
    assert place(scene, item, [], (3.0, 3.0), 0.0, generator) is None
    assert place(scene, item, [(0.0, 0.0, 16.0, 16.0)], (1.0, 1.0), 0.0, generator) is None


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
    data = scenes(params, cls, 0)
    assert data == scenes(params, cls, 0)
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


def _square(shade: int) -> Image.Image:
    image = Image.new("L", (24, 24))
    image.paste(shade, (4, 4, 20, 20))
    return image
