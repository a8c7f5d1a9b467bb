"""Which part of its real source a job uses, and how the drawn image is put back."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from diffaug.dataset.records import Record
from diffaug.generation.plan.jobs import AS_DRAWN, Job
from diffaug.params.generate import GenerateParams, Inpaint
from diffaug.pictures.canvas import Canvas, leave_text_canvas
from diffaug.pictures.masks import composite, part_mask, put_back, repaint_mask

ObjectOf = Callable[[Record], np.ndarray | None]  # bool (H, W): the object of an image


class Views:
    """The part, mask and place in the source for every job, from the params of its mode. object_of: the mask of a
    classification image's object."""

    def __init__(self, params: GenerateParams, object_of: ObjectOf) -> None:
        self._params = params
        self._object_of = object_of

    def enter(self, source: Record, job: Job, size: tuple[int, int]) -> Image.Image:
        """The input image of the job, RGB, on the model's canvas of `size` (width, height)."""
        return self._canvas(job, size).enter(_view(source.open(), job)).convert("RGB")

    def enter_mask(self, source: Record, job: Job, size: tuple[int, int]) -> Image.Image:
        """The pixels that the job redraws, 255 in an "L" image, on the model's canvas."""
        mask = Image.fromarray(self._mask(source, job).astype(np.float32))
        # A pixel of the canvas is redrawn if any source pixel that it covers is redrawn.
        seen = np.asarray(self._canvas(job, size).enter(_view(mask, job), Image.Resampling.BOX))
        return Image.fromarray((seen > 0).astype(np.uint8) * 255)

    def finish(self, image: Image.Image, job: Job, source: Record | None) -> Image.Image:
        """A drawn image in the job's size and colour; pixels that the mode protects are the source's."""
        if source is None:
            sized = image if job.size == AS_DRAWN else leave_text_canvas(image, job.size)
            return sized.convert(job.color)
        original = source.open()
        result = self._canvas(job, image.size).leave(image, _view(original, job)).convert(job.color)
        if job.part is not None:
            return put_back(original, result, job.part.region, self._mask(source, job), job.part.feather)
        if job.mode == "inpaint":
            return composite(original, result, self._mask(source, job), self._inpaint.feather)
        return result

    def _canvas(self, job: Job, size: tuple[int, int]) -> Canvas:
        # A part is used as a whole, since its object may be anywhere in it.
        return Canvas.fit(job.size, size, "pad" if job.part else self._params.fit)

    @property
    def _inpaint(self) -> Inpaint:
        mode = self._params.cls.modes.inpaint
        assert mode is not None  # such jobs exist only with the mode
        return mode

    def _mask(self, source: Record, job: Job) -> np.ndarray:
        """bool (H, W): the pixels of the whole source that the job may change."""
        if job.part is not None:
            return part_mask(source, job.mode, job.part.region, job.part.object, job.part.padding)
        objects = self._object_of(source)
        assert objects is not None  # the plan leaves out other sources
        return repaint_mask(objects, self._inpaint.repaint, self._inpaint.padding)


def _view(image: Image.Image, job: Job) -> Image.Image:
    return image.crop(job.part.region) if job.part is not None else image
