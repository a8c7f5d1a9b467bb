"""Fitting an image of any shape to the size that a model draws, and putting the result back."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

_SMOOTH = Image.Resampling.LANCZOS
# An image that nearly fills a small canvas is not enlarged: 28 pixels on 32 would lose their sharp edges for nothing.
_NEARLY, _SMALL = 1.15, 64  # times; pixels


@dataclass(frozen=True)
class Canvas:
    """The part of an image that the model gets, and the part of the model's canvas that it fills.

    size: (width, height) of the image; drawn: of the model's canvas; seen: (left, top, right, bottom) in the image;
    filled: in the canvas. With "crop" the canvas is full and the image's margins are cut off; with "pad" the whole
    image is used and the canvas has a border, which repeats the image's edge; an image that is slightly smaller than
    a canvas of at most 64 pixels is not scaled.
    """

    size: tuple[int, int]
    drawn: tuple[int, int]
    seen: tuple[int, int, int, int]
    filled: tuple[int, int, int, int]

    @classmethod
    def fit(cls, size: tuple[int, int], drawn: tuple[int, int], how: str) -> "Canvas":
        """The canvas for an image of this size; `how`: "crop" or "pad"."""
        if how == "crop":
            scale = min(size[0] / drawn[0], size[1] / drawn[1])
            part = tuple(min(side, max(1, round(whole * scale))) for side, whole in zip(size, drawn))
            return cls(size, drawn, _centred(size, part), (0, 0, *drawn))
        scale = min(drawn[0] / size[0], drawn[1] / size[1])
        if 1 < scale < _NEARLY and max(drawn) <= _SMALL:
            scale = 1.0
        part = tuple(min(whole, max(1, round(side * scale))) for side, whole in zip(size, drawn))
        return cls(size, drawn, (0, 0, *size), _centred(drawn, part))

    def enter(self, image: Image.Image, resample: Image.Resampling = _SMOOTH) -> Image.Image:
        """The image on the model's canvas, of size `drawn`, in its own colour mode."""
        left, top, right, bottom = self.filled
        part = image.crop(self.seen) if self.seen != (0, 0, *image.size) else image
        if part.size != (right - left, bottom - top):
            part = part.resize((right - left, bottom - top), resample)
        if part.size == self.drawn:
            return part
        margins = ((top, self.drawn[1] - bottom), (left, self.drawn[0] - right))
        pixels = np.asarray(part)
        return Image.fromarray(np.pad(pixels, (*margins, *[(0, 0)] * (pixels.ndim - 2)), mode="edge"))

    def leave(self, drawn: Image.Image, source: Image.Image) -> Image.Image:
        """The drawn image at the image's size; margins outside the canvas are taken from `source`."""
        left, top, right, bottom = self.seen
        part = drawn.crop(self.filled) if self.filled != (0, 0, *drawn.size) else drawn
        if self.seen == (0, 0, *self.size):
            return part if part.size == self.size else part.resize(self.size, _SMOOTH)
        result = source.convert(drawn.mode)
        result.paste(part.resize((right - left, bottom - top), _SMOOTH), (left, top))
        return result


def leave_text_canvas(drawn: Image.Image, size: tuple[int, int]) -> Image.Image:
    """An image drawn from text alone, at this size: its middle, cropped to the wanted shape."""
    return Canvas.fit(size, drawn.size, "pad").leave(drawn, drawn)


def _centred(whole: tuple[int, int], part: tuple[int, ...]) -> tuple[int, int, int, int]:
    left, top = ((side - inner) // 2 for side, inner in zip(whole, part))
    return left, top, left + part[0], top + part[1]
