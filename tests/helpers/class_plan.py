"""Parameters and a train set for the tests of the plan for classification."""

from PIL import Image
from settings import params

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record
from diffaug.params.generate import GenerateParams

NAMES = ("cat", "dog", "cow")


def settings(txt2img: int = 4, img2img: int = 3, **changes: object) -> GenerateParams:
    """`txt2img` and `img2img` images per class: their weights and their sum."""
    cls = {
        "per_class": txt2img + img2img,
        "modes": {"txt2img": {"weight": txt2img}, "img2img": {"weight": img2img, "strength": 0.7}},
    }
    return params(**{"cls": cls} | changes)


def train() -> ImageSet:
    sizes = [(20, 10), (20, 10), (8, 8), (20, 10), (8, 8), (20, 10)]
    records = [
        make_record(f"t{index}", encode_png(Image.new("L", size, index)), "train", label=index % 3)
        for index, size in enumerate(sizes)
    ]
    return ImageSet(NAMES, tuple(records))
