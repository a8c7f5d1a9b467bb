"""`diffaug regenerate`: makes one image of a run again."""

from pathlib import Path

from diffaug.dataset.records import read_set
from diffaug.generation.composing.composer import Composer
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.plan.jobs import Job
from diffaug.generation.plan.plan import make_plan
from diffaug.params import Params
from diffaug.params.generate import GenerateParams
from diffaug.runtime.device import choose_device
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path
from diffaug.runtime.work import work_folder
from diffaug.segmenting.finding import finding


def regenerate(drawing: Drawing, params: GenerateParams, id: str) -> bytes:
    """The PNG of one image of the plan, made again alone: drawn at its own place in its batch or, for a scene, composed
    of objects that are drawn again. Raises UserError if the plan has no such image."""
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
    raise UserError(f"{id}: the current params.yaml plans no image with this id; see the id column of data/generated")


def compare_again(params: Params, id: str, out: Path) -> str:
    """Make one image again, write it, and say whether it is the same as in data/generated. Raises UserError."""
    work = work_folder("generate")
    with finding(params.generate, work) as objects:
        plan = make_plan(params.generate, params.image_draws, objects)
    drawing = Drawing(params.generate, plan, work, choose_device())
    data = regenerate(drawing, params.generate, id)
    with atomic_path(out) as temporary:
        temporary.write_bytes(data)
    tables = [folder for folder in (Path("data/generated/cls"), Path("data/generated/det")) if folder.exists()]
    kept = [record.image for folder in tables for record in read_set(folder) if record.id == id]
    if kept == [data]:
        return "the same bytes as in data/generated"
    if kept:
        return "not the same as in data/generated: that was made with other settings, code, libraries or another device"
    return "data/generated has no image with this id to compare with"
