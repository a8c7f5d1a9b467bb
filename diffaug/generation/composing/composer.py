"""From a scene's job to its record: finds its parts and objects, and composes them as its mode requires."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from diffaug.dataset.codec import open_image
from diffaug.dataset.provenance import Provenance
from diffaug.dataset.records import Record
from diffaug.generation.composing.paste import Cut, compose
from diffaug.generation.composing.redraw import put_together
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.pnginfo import read_flag
from diffaug.generation.plan.boxes import longer_sides
from diffaug.generation.plan.jobs import Job, SceneJob
from diffaug.generation.plan.objects import cut_real, object_id
from diffaug.params.generate import GenerateParams
from diffaug.pictures.cutout import cut_out, has_plain_ground

_INSET = 0.04  # margin of a drawn image, if the model does not say how much of the image the object fills
_KEPT = 512  # cut-outs, each of which is used in several scenes


class Composer:
    """Makes the records of the plan's scenes. `read`: returns the PNG of a drawn job by its id."""

    def __init__(self, drawing: Drawing, params: GenerateParams, read: Callable[[str], bytes]) -> None:
        self._drawing = drawing
        self._paste = params.det.modes.paste
        self._read = read
        plan = drawing.plan
        self._jobs = {job.id: job for job in (*plan.items, *plan.parts)}
        self._sources = {record.id: record for record in plan.det}
        self._objects = {object_id(record, n): (record, n) for record in plan.det for n in range(len(record.bbox))}
        self._sizes = longer_sides(plan.det)
        self._cut = lru_cache(maxsize=_KEPT)(self._cut_out)
        self._could: dict[str, bool] = {}

    def scene(self, scene: SceneJob) -> Record:
        """Compose the scene. All jobs that draw for it must be finished."""
        source = self._sources[scene.source_id]
        drawn = [item for item in scene.items if item in self._jobs]
        flags = [read_flag(self._read(item)) for item in drawn]
        flagged = any(flags) if any(flag is not None for flag in flags) else None
        made = replace(self._drawing.shared(self._jobs[drawn[0]]) if drawn else Provenance(), flagged=flagged)
        if scene.mode == "paste":
            assert self._paste is not None  # such scenes exist only with the mode
            cuts = [cut for item in scene.items if (cut := self._cut(item)) is not None]
            made = replace(made, settings={**made.settings, **self._drawing.plan.objects.settings})
            return compose(scene, source, cuts, self._sizes, self._paste, made)
        parts = [(self._jobs[item], self._read(item)) for item in scene.items]
        return put_together(scene, source, parts, made)

    def not_cut(self) -> dict[str, tuple[int, int]]:
        """By class, how many of the drawn objects that scenes asked for could not be cut out, and of how many."""
        names = self._drawing.plan.det.names
        drawn = [(names[self._jobs[item].label], could) for item, could in self._could.items() if item in self._jobs]
        all_of, failed = Counter(name for name, _ in drawn), Counter(name for name, could in drawn if not could)
        return {name: (failed[name], all_of[name]) for name in names if failed[name]}

    def _cut_out(self, item: str) -> Cut | None:
        """An object without its background; None if they cannot be separated."""
        plan = self._drawing.plan
        if item in self._jobs:
            cut = self._cut_drawn(self._jobs[item])
        else:
            record, number = self._objects[item]
            image = cut_real(record, number, plan.det.names, plan.objects)
            cut = Cut(image, record.category[number], None) if image is not None else None
        self._could[item] = cut is not None
        return cut

    def _cut_drawn(self, job: Job) -> Cut | None:
        with open_image(self._read(job.id)) as picture:
            image = picture.copy()
        context = self._drawing.model.learned.context
        share = 1 / context if context > 1 else 1 - 2 * _INSET
        width, height = image.width * share, image.height * share
        inner = ((image.width - width) / 2, (image.height - height) / 2, width, height)
        # An image with surroundings may have other objects there, so only its middle is used.
        if context <= 1 and has_plain_ground(image):
            cut = cut_out(image)
        else:
            plan = self._drawing.plan
            cut = plan.objects.cut(image, inner, plan.det.names[job.label])
        return Cut(cut, job.label, job.prompt) if cut is not None else None
