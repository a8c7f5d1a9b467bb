"""Parameters and train scenes for the tests of the plan for detection."""

from typing import Any

from PIL import Image, ImageDraw
from settings import params

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, Record, make_record
from diffaug.params.generate import GenerateParams

NAMES = ("cat", "dog")
PASTE = {
    **{"weight": 1, "objects": "generated", "items_per_class": 2, "max_objects": 3, "scale": [1.0, 1.0]},
    **{"max_overlap": 0.1, "min_visible": 1.0, "min_labelled": 0.5, "feather": 0},
}
PATCHES = {"context": 1.5, "per_scene": 2}
REDRAW = {"weight": 1, "strength": [0.5, 0.8], "feather": 1}


def settings(per_real: float = 2.0, **modes: Any) -> GenerateParams:
    return params(det={"per_real": per_real, "modes": modes})


def scene(number: int, boxes: tuple, category: tuple) -> Record:
    image = Image.new("RGB", (100, 60), (number, 0, 0))
    for x, y, width, height in boxes:
        ImageDraw.Draw(image).ellipse((x, y, x + width - 1, y + height - 1), "yellow")
    return make_record(f"s{number}", encode_png(image), "train", bbox=boxes, category=category)


def train() -> ImageSet:
    """Four scenes: two cats and a dog; two cats; a cat covered by another; none."""
    return ImageSet(
        NAMES,
        (
            scene(0, ((5, 5, 10, 10), (40, 20, 12, 10), (80, 40, 8, 8)), (0, 0, 1)),
            scene(1, ((10, 10, 10, 10), (60, 30, 9, 11)), (0, 0)),
            scene(2, ((10, 10, 20, 20), (12, 10, 20, 20)), (0, 0)),
            scene(3, (), ()),
        ),
    )
