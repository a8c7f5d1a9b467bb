import numpy as np
from PIL import Image, ImageDraw

from diffaug.pictures.boxes import outline
from diffaug.pictures.cutout import cut_out
from diffaug.pictures.pasting import find_place, resized, visible


def disc() -> Image.Image:
    picture = Image.new("L", (20, 20))
    ImageDraw.Draw(picture).ellipse([2, 4, 17, 15], fill=255)
    cut = cut_out(picture)
    assert cut is not None
    return cut


def anywhere(left: int, top: int) -> bool:
    return True


def test_the_outline_of_the_visible_pixels_is_where_a_scene_changes() -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        item = resized(disc(), float(generator.uniform(0.7, 1.8)), generator)
        place = find_place(item, (64, 48), anywhere, generator)
        assert place is not None
        scene = Image.new("L", (64, 48), 100)
        scene.paste(item.convert("L"), place, item.getchannel("A"))
        # Half-transparent pixels at the edge are outside the box, so only pixels that changed much count.
        changed = np.asarray(scene).astype(int) - 100 > 77
        x, y, width, height = outline(visible(item))
        assert outline(changed) == (place[0] + x, place[1] + y, width, height)


def test_an_object_is_mirrored_in_half_of_the_cases() -> None:
    picture = Image.new("LA", (2, 1), (255, 255))
    picture.putpixel((0, 0), (10, 255))
    generator = np.random.default_rng(0)
    first = [np.asarray(resized(picture, 1.0, generator))[0, 0, 0] for _ in range(400)]
    assert 160 < sum(shade == 10 for shade in first) < 240


def test_an_object_that_is_too_large_or_invisible_finds_no_place() -> None:
    generator = np.random.default_rng(0)
    assert find_place(Image.new("LA", (9, 4), (255, 255)), (8, 8), anywhere, generator) is None
    assert find_place(Image.new("LA", (4, 4), (255, 127)), (8, 8), anywhere, generator) is None
    assert find_place(Image.new("LA", (4, 4), (255, 128)), (8, 8), lambda *_: False, generator) is None


def test_places_lie_in_the_scene_or_as_far_beyond_as_is_allowed() -> None:
    item, generator = Image.new("LA", (4, 2), (255, 255)), np.random.default_rng(0)
    inside = {find_place(item, (6, 3), anywhere, generator) for _ in range(200)}
    assert inside == {(x, y) for x in range(3) for y in range(2)}
    beyond = {find_place(item, (6, 3), anywhere, generator, (1, 0)) for _ in range(200)}
    assert beyond == {(x, y) for x in range(-1, 4) for y in range(2)}
