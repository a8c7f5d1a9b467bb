"""`diffaug regenerate`: one image of a run made again."""

from diffaug.generation.composing.composer import Composer
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.plan.jobs import Job
from diffaug.params.generate import GenerateParams
from diffaug.runtime.errors import UserError


def regenerate(drawing: Drawing, params: GenerateParams, id: str) -> bytes:
    """The PNG of one image of the plan, made again alone: drawn at its own place of its batch or, for a scene, composed
    of objects that are drawn again. Raises UserError where the plan has no such image."""
    scene = next((scene for scene in drawing.plan.scenes if scene.id == id), None)
    if scene is None:
        return _draw_alone(drawing, id)[1]
    drawn = {job.id for job in drawing.plan.drawn}
    items = {item: _draw_alone(drawing, item)[1] for item in sorted(set(scene.items) & drawn)}
    return Composer(drawing, params, items.__getitem__).scene(scene).image


def _draw_alone(drawing: Drawing, id: str) -> tuple[Job, bytes]:
    for batch in drawing.batches:
        for place, job in enumerate(batch):
            if job.id == id:
                source = drawing.source(job)
                drawn = drawing.sampler.draw([job] * len(batch), {source.id: source} if source else {})
                return job, drawing.encode(job, drawn.images()[place], drawing.sampler.flag(drawn)[place])
    raise UserError(f"{id}: the present params.yaml plans no image with this id; see the id column of data/generated")
