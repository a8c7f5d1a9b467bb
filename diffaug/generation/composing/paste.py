"""Composing detection scenes: objects on real train scenes, with boxes around the visible part of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy import ndimage

from diffaug.dataset.codec import encode_png
from diffaug.dataset.provenance import Composition, Provenance
from diffaug.dataset.records import Record, make_record
from diffaug.generation.drawing.pnginfo import own_text
from diffaug.generation.plan.jobs import SceneJob
from diffaug.params.generate import Paste
from diffaug.pictures.boxes import XYWH, edges, outline
from diffaug.pictures.pasting import find_place, resized, visible


@dataclass(frozen=True)
class Cut:
    """An object to paste: its image ("LA" or "RGBA", alpha 0 outside of it), class, and prompt."""

    image: Image.Image
    category: int
    prompt: str | None


class _Labelled:
    """A labelled object of a scene, and its visible pixels. `mask`: bool, from (left, top) on; `whole`: the number of
    pixels of the whole object, including those beyond the scene's border."""

    def __init__(
        self, left: int, top: int, mask: np.ndarray, whole: int, category: int, box: XYWH | None = None
    ) -> None:
        self.category = category
        self._left, self._top = left, top
        self._mask = mask.copy()
        self._whole = whole
        self._box = box  # of a real object; it is kept as long as nothing covers the outline
        self._outline = outline(mask)

    def cover(self, left: int, top: int, mask: np.ndarray) -> None:
        """Remove the pixels that an object with this mask covers."""
        mine = _window((left, top, left + mask.shape[1], top + mask.shape[0]), self._left, self._top, self._mask.shape)
        theirs = _window(self._rectangle(), left, top, mask.shape)
        self._mask[mine] &= ~mask[theirs]

    def covered_by(self, left: int, top: int, mask: np.ndarray) -> float:
        """The common area of both as a share of the smaller one, 0 to 1."""
        mine = _window((left, top, left + mask.shape[1], top + mask.shape[0]), self._left, self._top, self._mask.shape)
        theirs = _window(self._rectangle(), left, top, mask.shape)
        return float((self._mask[mine] & mask[theirs]).sum()) / max(1, min(self._whole, int(mask.sum())))

    @property
    def visible(self) -> float:
        """The visible share of the object, 0 to 1."""
        return float(self._mask.sum()) / max(1, self._whole)

    @property
    def box(self) -> XYWH:
        """The box of its visible pixels."""
        seen = outline(self._mask)
        if self._box is not None and seen == self._outline:
            return self._box
        x, y, width, height = seen
        return float(self._left + x), float(self._top + y), float(width), float(height)

    def _rectangle(self) -> tuple[int, int, int, int]:
        return self._left, self._top, self._left + self._mask.shape[1], self._top + self._mask.shape[0]


def compose(
    job: SceneJob,
    source: Record,
    cuts: Sequence[Cut],
    sizes: Sequence[Sequence[float]],
    params: Paste,
    made: Provenance,
) -> Record:
    """Paste the objects on the scene one after another; returns it with the boxes of all visible objects.

    Simple copy-paste (Ghiasi et al. 2021, arXiv:2012.07177). An object is scaled to a random real one of its class
    (`sizes`: each class's longer sides in pixels), times a factor from `params.scale`. It covers at most `max_overlap`
    of any other, and at least `min_visible` of it is inside the scene; if twenty draws find no such place, it is left
    out. An object whose visible share is below `min_labelled` in the end loses its label. made: how the objects were
    drawn.
    """
    generator = np.random.default_rng([job.seed, 1])
    scene = source.open()
    labelled = [_real(box, category, scene.size) for box, category in zip(source.bbox, source.category)]
    prompts, places = [], []
    for cut in cuts:
        item = resized(cut.image, _factor(cut.image, sizes[cut.category], params.scale, generator), generator)
        alpha = visible(item)
        place = _place(item, alpha, scene.size, labelled, params, generator)
        if place is None:
            continue
        scene.paste(item.convert(scene.mode), place, _soft(alpha, params.feather))
        seen, x, y = _inside(alpha, place, scene.size)
        for other in labelled:
            other.cover(x, y, seen)
        labelled.append(_Labelled(x, y, seen, int(alpha.sum()), cut.category))
        places.append((*place, item.width, item.height))
        prompts += [cut.prompt] if cut.prompt else []
    kept = [one for one in labelled if one.visible >= params.min_labelled]
    made = replace(
        made,
        source_id=source.id,
        mode="paste",
        index=job.index,
        draw=job.draw,
        prompt=" | ".join(prompts) or None,
        seed=job.seed,
        composition=Composition(pasted=tuple(places)),
    )
    return make_record(
        job.id,
        encode_png(scene, own_text(job.id, source.id, "paste", items=job.items)),
        "train",
        bbox=tuple(one.box for one in kept),
        category=tuple(one.category for one in kept),
        origin="synthetic",
        **made.columns(),
    )


def _real(box: XYWH, category: int, size: tuple[int, int]) -> _Labelled:
    """An object of the photograph; its whole box counts as visible."""
    left, top, right, bottom = edges(box)
    left, top = min(max(0, left), size[0] - 1), min(max(0, top), size[1] - 1)
    right, bottom = min(size[0], max(left + 1, right)), min(size[1], max(top + 1, bottom))
    mask = np.ones((bottom - top, right - left), dtype=bool)
    return _Labelled(left, top, mask, mask.size, category, box)


def _factor(
    image: Image.Image, sides: Sequence[float], scale: Sequence[float], generator: np.random.Generator
) -> float:
    """The factor that scales the object to the size of a random real one of its class."""
    return sides[int(generator.integers(len(sides)))] * generator.uniform(scale[0], scale[1]) / max(image.size)


def _place(
    item: Image.Image,
    alpha: np.ndarray,
    size: tuple[int, int],
    labelled: Sequence[_Labelled],
    params: Paste,
    generator: np.random.Generator,
) -> tuple[int, int] | None:
    """(left, top) in the scene of `size`, which may be outside if enough of the object stays visible."""

    def fits(left: int, top: int) -> bool:
        seen, x, y = _inside(alpha, (left, top), size)
        return seen.sum() >= params.min_visible * alpha.sum() and all(
            other.covered_by(x, y, seen) <= params.max_overlap for other in labelled
        )

    beyond = (round((1 - params.min_visible) * item.width), round((1 - params.min_visible) * item.height))
    return find_place(item, size, fits, generator, beyond)


def _inside(mask: np.ndarray, place: tuple[int, int], size: tuple[int, int]) -> tuple[np.ndarray, int, int]:
    """The part of the mask inside the scene, and its left and top."""
    left, top = max(0, place[0]), max(0, place[1])
    right, bottom = min(size[0], place[0] + mask.shape[1]), min(size[1], place[1] + mask.shape[0])
    return mask[top - place[1] : bottom - place[1], left - place[0] : right - place[0]], left, top


def _soft(mask: np.ndarray, feather: int) -> Image.Image:
    """The alpha channel: full inside, falling over `feather` pixels towards the object's edge."""
    padded = np.pad(mask, 1)
    depth = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    return Image.fromarray(np.round(255 * np.minimum(1.0, depth / (feather + 1))).astype(np.uint8))


def _window(place: Sequence[int], left: int, top: int, shape: Sequence[int]) -> tuple[slice, slice]:
    """The rows and columns, of an array that starts at (left, top), inside the rectangle `place`."""
    x0, y0 = max(0, place[0] - left), max(0, place[1] - top)
    x1, y1 = max(x0, min(shape[1], place[2] - left)), max(y0, min(shape[0], place[3] - top))
    return slice(y0, y1), slice(x0, x1)
