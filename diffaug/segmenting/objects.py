"""The objects of images as masks, which are found once and kept in the work folder. No torch: the plan needs them."""

import gc
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffaug.dataset.codec import open_image
from diffaug.dataset.records import Record
from diffaug.pictures import grabcut
from diffaug.pictures.boxes import XYWH
from diffaug.pictures.cutout import object_in_box, object_in_image, object_mask, with_alpha
from diffaug.runtime.files import atomic_path

# Masks, bool (H, W), that may be the object of an image: the one in the box or, without a box, the one of this name.
# The first plausible one is taken.
Segment = Callable[[Image.Image, XYWH | None, str], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Segmenter:
    """A network that finds objects. sha256: of its weights and configuration; reads_text: whether the name of the
    object changes what it finds; settings: what a row of an image table says about it; open: loads it."""

    name: str
    sha256: str
    licence: str | None
    reads_text: bool
    settings: Mapping[str, Any]
    open: Callable[[], Segment]


@dataclass
class Objects:
    """Finds the object of an image, or in a box: with a segmenter, or by GrabCut without one.

    folder: where masks are kept, as PNG files named by the hash of the pixels, the box and the text from which they
    were found; without it, nothing is kept. texts: what a class is called, where it is not its name.
    """

    folder: Path | None = None
    segmenter: Segmenter | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    _segment: Segment | None = field(default=None, init=False)
    _looked: dict[str, bool] = field(default_factory=dict, init=False)

    def in_image(self, record: Record, name: str = "") -> np.ndarray | None:
        """bool (H, W): the object of a classification image of the class `name`: what differs from a plain background;
        otherwise, what the segmenter or GrabCut finds. None if nothing is plausible."""
        image = record.open()
        mask = object_mask(image)
        if mask is not None:
            mask = object_in_image(mask)
        if mask is None:
            mask = self._mask(image, None, name)
        self._looked[record.sha256] = mask is not None
        return mask

    def cut(self, image: Image.Image, box: XYWH, name: str) -> Image.Image | None:
        """The object of the class `name` that fills a box of a photograph, as "LA" or "RGBA"; None if it cannot be
        separated from its surroundings."""
        mask = self._mask(image, box, name)
        return None if mask is None else with_alpha(image, mask)

    def made_from(self, name: str) -> str:
        """What besides an image can change the masks of a class: the folder where they are kept is named by the
        network, the code and the libraries that find them."""
        network = self.segmenter.sha256 if self.segmenter else ""
        return f"{self.folder.name if self.folder else ''} {network} {self._text(name)}".strip()

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a row of an image table says about the segmenter; empty without one."""
        return self.segmenter.settings if self.segmenter else {}

    @property
    def missed(self) -> tuple[int, int]:
        """In how many images no object was found, and in how many one was looked for."""
        return sum(not found for found in self._looked.values()), len(self._looked)

    def release(self) -> None:
        """Release the memory of the network; it is loaded again if a mask is missing."""
        self._segment = None
        gc.collect()

    def _mask(self, image: Image.Image, box: XYWH | None, name: str) -> np.ndarray | None:
        path = self._path(image, box, name)
        mask = _read(path, image.size) if path is not None else None
        if mask is None:
            mask = self._find(image, box, name)
            if path is not None:
                with atomic_path(path) as temporary:
                    Image.fromarray(mask).save(temporary, format="PNG")
        return mask if mask.any() else None

    def _find(self, image: Image.Image, box: XYWH | None, name: str) -> np.ndarray:
        """The object; nothing is true if there is none."""
        if self.segmenter is not None and self._segment is None:
            self._segment = self.segmenter.open()
        segment = self._segment or _grabcut
        for candidate in segment(image, box, self._text(name)):
            mask = object_in_image(candidate) if box is None else object_in_box(candidate, box)
            if mask is not None:
                return mask
        return np.zeros((image.height, image.width), dtype=bool)

    def _text(self, name: str) -> str:
        return self.texts.get(name, name) if self.segmenter and self.segmenter.reads_text else ""

    def _path(self, image: Image.Image, box: XYWH | None, name: str) -> Path | None:
        if self.folder is None:
            return None
        seen = f"{image.mode} {image.size} {box} {self._text(name)}\0".encode() + image.tobytes()
        return self.folder / f"{hashlib.sha256(seen).hexdigest()[:32]}.png"


def assume_all(name: str) -> Objects:
    """Objects that takes every image and every box for an object: for a plan before the network `name` has run."""

    def segment(image: Image.Image, box: XYWH | None, name: str) -> Sequence[np.ndarray]:
        mask = np.zeros((image.height, image.width), dtype=bool)
        left, top = image.width // 4, image.height // 4
        around = (left, top, image.width - left, image.height - top) if box is None else grabcut.inside(box, image.size)
        mask[around[1] : around[3], around[0] : around[2]] = True
        return [mask]

    return Objects(segmenter=Segmenter(name, "", None, False, {}, lambda: segment))


def _grabcut(image: Image.Image, box: XYWH | None, name: str) -> Sequence[np.ndarray]:
    mask = grabcut.in_middle(image) if box is None else grabcut.in_box(image, box)
    return [] if mask is None else [mask]


def _read(path: Path, size: tuple[int, int]) -> np.ndarray | None:
    """A kept mask; None if there is none, or if it is damaged."""
    try:
        with open_image(path.read_bytes()) as image:
            mask = np.asarray(image, dtype=bool)
    except (OSError, SyntaxError, ValueError, ImportError):  # the last one by Ultralytics, which wraps Image.open
        return None
    return mask if mask.shape == size[::-1] else None
