"""The training data of the generator: images with captions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffaug.dataset.codec import decode
from diffaug.dataset.records import ImageSet, Record
from diffaug.generator_training.captions import Captions
from diffaug.pictures.boxes import edges
from diffaug.pictures.canvas import Canvas
from diffaug.pictures.squares import square
from diffaug.runtime.errors import UserError, in_words
from diffaug.sources.faults import Fault
from diffaug.sources.image_files import files_below, is_image, no_image, other_pictures


@dataclass(frozen=True)
class Captioned:
    """`images` uint8 (N, 3, S, S); `numbers` int64 (N, K): the places of each image's captions in `captions`, and -1
    behind the last one; `names`: of the classes, none for pictures that have no class; `pixels`: (width, height) of all
    pictures, before they were padded to S, None if they differ or were scaled."""

    images: Tensor
    numbers: Tensor
    captions: tuple[str, ...]
    names: tuple[str, ...]
    pixels: tuple[int, int] | None = None

    def pick(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """One caption of each of these images (B,), as its place (B,). The generator is asked only if there is a
        choice."""
        numbers = self.numbers[index]
        if numbers.shape[1] == 1:
            return numbers[:, 0]
        counts = (numbers >= 0).sum(1)
        chosen = (torch.rand(len(index), generator=generator) * counts).long()
        return numbers.gather(1, torch.minimum(chosen, counts - 1)[:, None])[:, 0]


def captioned(
    sets: Sequence[ImageSet], template: str, context: float, size: int, captions: Captions | None = None
) -> Captioned:
    """All classification images of the sets, and their detection images' objects, padded to `size` pixels square.

    Classes of the same name are one class; the names are in the order in which the sets have them. captions: of the
    images, by their ids, instead of the template.

    An object is cut out by its box or, with a context above 1, by a square of `context` times its longer side. Raises
    UserError if there is no image, or one has no caption.
    """
    names = tuple(dict.fromkeys(name for images in sets for name in images.names))
    pictures: list[np.ndarray] = []
    sizes: set[tuple[int, int]] = set()
    texts: list[tuple[str, ...]] = []
    for own, record in ((images.names, record) for images in sets for record in images):
        for picture, category in _cut(record, context):
            pictures.append(_fit(picture, size))
            sizes.add(picture.size)
            texts.append(captions.of(record.id) if captions else (template.replace("{class}", own[category]),))
    if not pictures:
        raise UserError("train_gen: there are no images to train on; check download and train_gen.images")
    known = () if captions else tuple(template.replace("{class}", name) for name in names)
    return replace(_together(pictures, texts, known, names), pixels=_unscaled(sizes, size))


def own_pictures(folder: Path, size: int) -> Captioned:
    """The pictures in a folder of the user's, at any depth, with the captions beside them, padded to `size` square.

    Raises UserError if there is none, one cannot be read or has no caption, two would share a
    caption, or a row of a table has no picture.
    """
    files, texts = own_files(folder)
    return _together([_fit(_open(path), size) for path in files], texts, (), ())


def own_files(folder: Path) -> tuple[list[Path], list[tuple[str, ...]]]:
    """The files of the pictures, and their captions. Raises UserError as `own_pictures`, but opens no picture."""
    if not folder.is_dir():
        raise UserError(f"params.yaml: train_gen.images: {folder} does not exist; make it, with pictures and captions")
    faults: list[Fault] = []
    files = files_below(folder, faults)
    images = [path for path in files if is_image(path)]
    if not images:
        raise no_image(folder, files)
    for fault in [*faults, *other_pictures(files)]:
        raise UserError(fault.text)
    captions = Captions(folder)
    names = [path.relative_to(folder).as_posix() for path in images]
    captions.refuse_others(names)
    return images, [captions.of(name) for name in names]


def _cut(record: Record, context: float) -> Iterator[tuple[Image.Image, int]]:
    """The image, or its objects, each with its class."""
    picture = record.open()
    if record.label is not None:
        yield picture, record.label
    for box, category in zip(record.bbox, record.category):
        yield picture.crop(square(box, picture.size, context) if context > 1 else edges(box)), category


def _unscaled(sizes: set[tuple[int, int]], size: int) -> tuple[int, int] | None:
    """The one size of all pictures, if they fill a part of the canvas as they are."""
    if len(sizes) != 1:
        return None
    (only,) = sizes
    left, top, right, bottom = Canvas.fit(only, (size, size), "pad").filled
    return only if (right - left, bottom - top) == only else None


def _together(
    pictures: Sequence[np.ndarray], texts: Sequence[tuple[str, ...]], known: tuple[str, ...], names: tuple[str, ...]
) -> Captioned:
    """known: captions that come first, also without an image."""
    captions = tuple(dict.fromkeys([*known, *(text for several in texts for text in several)]))
    place = {text: number for number, text in enumerate(captions)}
    numbers = torch.full((len(texts), max(map(len, texts))), -1)
    for row, several in enumerate(texts):
        numbers[row, : len(several)] = torch.tensor([place[text] for text in several])
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    return Captioned(pixels, numbers, captions, names)


def _open(path: Path) -> Image.Image:
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(in_words(error)) from None


def _fit(picture: Image.Image, size: int) -> np.ndarray:
    """Pad, do not squeeze: the model must learn the true shapes."""
    return np.asarray(Canvas.fit(picture.size, (size, size), "pad").enter(picture.convert("RGB")))
