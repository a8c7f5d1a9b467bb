"""A picture enlarged in tiles that overlap, so that its size does not matter to the memory, without a seam."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from diffaug.runtime.errors import UserError
from diffaug.runtime.shortage import lacks_memory

_LEAST_SHARED = 32  # pixels in which two neighbouring tiles overlap


@dataclass(frozen=True)
class Tile:
    """A part of a picture (RGB). corner: its left upper one in the picture (x, y); whole: (width, height) of that."""

    part: Image.Image
    corner: tuple[int, int]
    whole: tuple[int, int]


@dataclass(frozen=True)
class Upscaler:
    """What enlarges a tile. name, sha256: of its weights; scale: its own factor; tile: the side in pixels that suits
    it, 0 for whole pictures; multiple: of which a side of a picture must be; draw: the enlarged tile (RGB); draws:
    whether it draws out of noise, by a prompt."""

    name: str
    sha256: str
    scale: int
    tile: int
    draw: Callable[[Tile], Image.Image]
    multiple: int = 1
    draws: bool = False


def enlarge(picture: Image.Image, upscaler: Upscaler, tile: int, done: Callable[[], object]) -> Image.Image:
    """The picture (RGB), `scale` times as large. tile: the side of a tile in pixels, 0 for one tile; done: called after
    each tile.

    Neighbouring tiles share pixels. In a quarter of the shared ones at either end only one of the two is shown, where
    the other one lacks what lies around; in the half between, one fades into the other. Raises UserError if the
    upscaler cannot do it.
    """
    whole = _padded(picture, upscaler.multiple)
    width, height = (side * upscaler.scale for side in whole.size)
    result = Image.new("RGB", (width, height))
    for top, down in _ramps(whole.height, tile, upscaler.scale):
        # A whole row at first: a tile may not mix with the row above where its own neighbour is shown in its place.
        row = Image.new("RGB", (width, len(down)))
        for left, across in _ramps(whole.width, tile, upscaler.scale):
            right, bottom = (first + _side(length, tile) for first, length in zip((left, top), whole.size))
            drawn = _drawn(upscaler, Tile(whole.crop((left, top, right, bottom)), (left, top), whole.size))
            row.paste(drawn, (left * upscaler.scale, 0), _mask(np.broadcast_to(across, drawn.size[::-1])))
            done()
        result.paste(row, (0, top * upscaler.scale), _mask(np.broadcast_to(down[:, None], row.size[::-1])))
    return result.crop((0, 0, picture.width * upscaler.scale, picture.height * upscaler.scale))


def count(size: tuple[int, int], upscaler: Upscaler, tile: int) -> int:
    """How many tiles a picture of this size (width, height) has."""
    across, down = (len(starts(-(-side // upscaler.multiple) * upscaler.multiple, tile)) for side in size)
    return across * down


def starts(length: int, tile: int) -> list[int]:
    """Where the tiles of a side of this length begin; the last one ends where the side ends."""
    if not tile or length <= tile:
        return [0]
    return [*range(0, length - tile, tile - max(_LEAST_SHARED, tile // 8)), length - tile]


def _drawn(upscaler: Upscaler, tile: Tile) -> Image.Image:
    """The enlarged tile. Raises UserError in place of a library's errors, of which there are many types; a lack of
    memory stays what it is."""
    width, height = tile.part.size
    failed = f"{upscaler.name}: cannot enlarge {width} x {height} pixels"
    try:
        drawn = upscaler.draw(tile)
    except Exception as error:
        if lacks_memory(error):
            raise
        raise UserError(f"{failed} ({' '.join(str(error).split())[:200]}); take another model") from None
    if drawn.size != (width * upscaler.scale, height * upscaler.scale):
        raise UserError(f"{failed} {upscaler.scale} times, made {drawn.width} x {drawn.height}; take another model")
    return drawn


def _side(length: int, tile: int) -> int:
    return min(length, tile) if tile else length


def _padded(picture: Image.Image, multiple: int) -> Image.Image:
    """The picture with its right and lower edges repeated, until its sides are multiples."""
    right, down = -picture.width % multiple, -picture.height % multiple
    if not right and not down:
        return picture
    return Image.fromarray(np.pad(np.asarray(picture), ((0, down), (0, right), (0, 0)), "edge"))


def _mask(shown: np.ndarray) -> Image.Image:
    return Image.fromarray((shown * 255).round().astype(np.uint8))


def _ramps(length: int, tile: int, scale: int) -> Iterator[tuple[int, np.ndarray]]:
    """Where the tiles of a side begin, and how much of each is shown over the one before it, by enlarged pixel: none in
    the first quarter of the pixels that both share, all from the last quarter on."""
    places = starts(length, tile)
    for before, first in zip([None, *places], places):
        pixels = np.arange(_side(length, tile) * scale)
        shared = (before + tile - first) * scale if before is not None else 0
        yield first, np.clip((pixels + 0.5 - shared / 4) / (shared / 2), 0, 1) if shared else np.ones(len(pixels))
