"""The training data of the generator: images with captions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffaug.dataset.records import ImageSet
from diffaug.pictures.boxes import edges
from diffaug.pictures.canvas import Canvas
from diffaug.pictures.squares import square
from diffaug.runtime.errors import UserError


@dataclass(frozen=True)
class Captioned:
    """`images` uint8 (N, 3, S, S), `labels` int64 (N,), one caption and one name per label."""

    images: Tensor
    labels: Tensor
    captions: tuple[str, ...]
    names: tuple[str, ...]


def captioned(sets: Sequence[ImageSet], template: str, context: float, size: int) -> Captioned:
    """All classification images of the sets, and their detection images' objects, padded to `size` pixels square.

    Classes of the same name are one class; the names are in the order in which the sets have them.

    An object is cut out by its box or, with a context above 1, by a square of `context` times its longer side. Raises
    UserError if there is no image.
    """
    arrays: list[np.ndarray] = []
    labels: list[int] = []
    names = tuple(dict.fromkeys(name for images in sets for name in images.names))
    for own, record in ((images.names, record) for images in sets for record in images):
        picture = record.open()
        if record.label is not None:
            arrays.append(_fit(picture, size))
            labels.append(names.index(own[record.label]))
        for box, category in zip(record.bbox, record.category):
            region = square(box, picture.size, context) if context > 1 else edges(box)
            arrays.append(_fit(picture.crop(region), size))
            labels.append(names.index(own[category]))
    if not arrays:
        raise UserError("train_gen: there are no images to train on; check download and train_gen.images")
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
    captions = tuple(template.replace("{class}", name) for name in names)
    return Captioned(pixels, torch.tensor(labels), captions, names)


def _fit(picture: Image.Image, size: int) -> np.ndarray:
    """Pad, do not squeeze: the model must learn the true shapes."""
    return np.asarray(Canvas.fit(picture.size, (size, size), "pad").enter(picture.convert("RGB")))
