"""What a job sees of its real source, and how the drawn image is put back."""

import numpy as np
from PIL import Image

from diffaug.generation.canvas import Canvas, leave_text_canvas
from diffaug.generation.jobs import Job
from diffaug.generation.masks import composite, find_objects, part_mask, put_back, repaint_mask
from diffaug.params.generation import GenerateParams, Inpaint
from diffaug.records import Record


class Views:
    """The source's part, mask and place of every job, by the params of its mode."""

    def __init__(self, params: GenerateParams) -> None:
        self._params = params
        self._scene_modes = params.det.modes.redrawn()

    def enter(self, source: Record, job: Job, size: tuple[int, int]) -> Image.Image:
        """What the job starts from, RGB, on the model's canvas of `size` (width, height)."""
        return self._canvas(job, size).enter(_view(source.open(), job)).convert("RGB")

    def enter_mask(self, source: Record, job: Job, size: tuple[int, int]) -> Image.Image:
        """The pixels that the job draws anew, 255 in an "L" image, on the model's canvas."""
        mask = Image.fromarray(self._mask(source, job).astype(np.uint8) * 255)
        return self._canvas(job, size).enter(_view(mask, job), Image.Resampling.NEAREST)

    def finish(self, image: Image.Image, job: Job, source: Record | None) -> Image.Image:
        """A drawn image in the job's size and colour; pixels that the mode protects are the source's."""
        if source is None:
            return leave_text_canvas(image, job.size).convert(job.color)
        original = source.open()
        result = self._canvas(job, image.size).leave(image, _view(original, job)).convert(job.color)
        if job.part is not None:
            feather = self._scene_modes[job.mode].feather
            return put_back(original, result, job.part.region, self._mask(source, job), feather)
        if job.mode == "inpaint":
            return composite(original, result, self._mask(source, job), self._inpaint.feather)
        return result

    def _canvas(self, job: Job, size: tuple[int, int]) -> Canvas:
        return Canvas.fit(job.size, size, self._params.fit)

    @property
    def _inpaint(self) -> Inpaint:
        mode = self._params.cls.modes.inpaint
        assert mode is not None  # without it there are no such jobs
        return mode

    def _mask(self, source: Record, job: Job) -> np.ndarray:
        """bool (H, W): the pixels of the whole source that the job may change."""
        if job.part is not None:
            padding = getattr(self._scene_modes[job.mode], "padding", 0)
            return part_mask(source, job.mode, job.part.region, job.part.object, padding)
        objects = find_objects(source)
        assert objects is not None  # the plan leaves such sources out
        return repaint_mask(objects, self._inpaint.repaint, self._inpaint.padding)


def _view(image: Image.Image, job: Job) -> Image.Image:
    return image.crop(job.part.region) if job.part is not None else image
