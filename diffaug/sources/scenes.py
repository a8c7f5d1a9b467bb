"""Composed detection scenes: single items on real textures, with exact boxes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import skimage.data
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.params.download import Scenes
from diffaug.pictures.boxes import XYWH, outline, shared
from diffaug.pictures.cutout import cut_out
from diffaug.pictures.pasting import find_place, resized, visible
from diffaug.sources.real import Inputs, RealData

# The rows (of 512) of each texture that a split may use: no split uses another split's background.
_ROWS = {"train": (0, 256), "val": (256, 384), "test": (384, 512)}
_SCALE = (1.0, 1.5)
_MAX_OVERLAP = 0.15
_EMPTY = 0.1  # share of scenes without an object: negatives


@dataclass(frozen=True)
class _Item:
    """An object as an "LA" or "RGBA" image, alpha 0 outside of it, and its class number."""

    image: Image.Image
    category: int


def read_det(params: Scenes, inputs: Inputs) -> RealData:
    """The scenes of a split use only the items and the part of the textures of that split.

    Photographs of brick, grass and gravel from scikit-image; the number of objects is uniform from 1 to max_objects.
    """
    textures = [skimage.data.brick(), skimage.data.grass(), skimage.data.gravel()]
    splits: dict[str, tuple[Record, ...]] = {}
    for number, (split, count) in enumerate([("train", params.train), ("val", params.val), ("test", params.test)]):
        generator = np.random.default_rng([inputs.seed, number])
        cut = [(cut_out(record.open()), record.label or 0) for record in inputs.other.splits[split]]
        items = [_Item(image, label) for image, label in cut if image is not None]
        rows = slice(*_ROWS[split])
        grounds = [texture[rows] for texture in textures]
        splits[split] = tuple(
            _scene(f"scene-{split}-{index:05d}", split, grounds, items, params, generator) for index in range(count)
        )
    return RealData(inputs.other.names, splits)


def _scene(
    id: str,
    split: str,
    grounds: Sequence[np.ndarray],
    items: Sequence[_Item],
    params: Scenes,
    generator: np.random.Generator,
) -> Record:
    scene = _background(grounds[int(generator.integers(len(grounds)))], params.size, generator)
    boxes: list[XYWH] = []
    categories: list[int] = []
    objects = 0 if generator.random() < _EMPTY else int(generator.integers(1, params.max_objects + 1))
    for _ in range(objects):
        item = items[int(generator.integers(len(items)))]
        box = _paste(scene, item.image, boxes, generator)
        if box is not None:
            boxes.append(box)
            categories.append(item.category)
    return make_record(id, encode_png(scene), split, bbox=tuple(boxes), category=tuple(categories))


def _paste(scene: Image.Image, item: Image.Image, boxes: Sequence[XYWH], generator: np.random.Generator) -> XYWH | None:
    """Paste the whole item on the scene; returns the box of its visible pixels. The item covers only a little of any
    box, and no box much of the item. If there is no such place, returns None and leaves the scene unchanged."""
    pasted = resized(item, generator.uniform(*_SCALE), generator)
    x, y, width, height = (float(value) for value in outline(visible(pasted)))

    def fits(left: int, top: int) -> bool:
        box = (left + x, top + y, width, height)
        return all(shared(box, other) / min(width * height, other[2] * other[3]) <= _MAX_OVERLAP for other in boxes)

    place = find_place(pasted, scene.size, fits, generator)
    if place is None:
        return None
    scene.paste(pasted.convert(scene.mode), place, pasted.getchannel("A"))
    return place[0] + x, place[1] + y, width, height


def _background(texture: np.ndarray, size: int, generator: np.random.Generator) -> Image.Image:
    """A random grey square of 64 to 128 texture pixels, scaled to size x size; the same range in every split."""
    side = int(generator.integers(64, 129))
    top = int(generator.integers(texture.shape[0] - side + 1))
    left = int(generator.integers(texture.shape[1] - side + 1))
    crop = Image.fromarray(texture[top : top + side, left : left + side])
    return crop.resize((size, size), Image.Resampling.BILINEAR)
