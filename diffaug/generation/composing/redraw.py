"""Composing detection scenes: redraws parts of a real scene and puts them back in their places."""

from collections.abc import Sequence
from dataclasses import replace

from diffaug.dataset.codec import encode_png, open_image
from diffaug.dataset.provenance import Composition, DrawnPart, Provenance
from diffaug.dataset.records import Record, make_record
from diffaug.generation.drawing.pnginfo import own_text
from diffaug.generation.plan.jobs import Job, SceneJob


def put_together(
    scene: SceneJob,
    source: Record,
    parts: Sequence[tuple[Job, bytes]],
    made: Provenance,
) -> Record:
    """The scene with its redrawn parts (jobs and their PNG files). The boxes are the source's; a redrawn object has the
    class as which it was drawn. made: how the parts were drawn, as far as they agree."""
    categories = list(source.category)
    for job, _ in parts:
        assert job.part is not None  # all jobs of a scene have one
        if job.part.object >= 0:
            categories[job.part.object] = job.label
    strengths = {job.settings.strength for job, _ in parts}
    drawn = [DrawnPart(job.part, job.prompt, job.seed, job.settings.strength) for job, _ in parts if job.part]
    made = replace(
        made,
        source_id=source.id,
        mode=scene.mode,
        index=scene.index,
        draw=scene.draw,
        prompt=" | ".join(dict.fromkeys(job.prompt for job, _ in parts)),
        negative_prompt=" | ".join(dict.fromkeys(job.negative_prompt for job, _ in parts)),
        seed=scene.seed,
        strength=strengths.pop() if len(strengths) == 1 else None,  # each part has its own
        composition=Composition(parts=tuple(drawn)),
    )
    return make_record(
        scene.id,
        _picture(scene, source, parts),
        "train",
        bbox=source.bbox,
        category=tuple(categories),
        origin="synthetic",
        **made.columns(),
    )


def _picture(scene: SceneJob, source: Record, parts: Sequence[tuple[Job, bytes]]) -> bytes:
    image = source.open()
    text = ""
    for job, data in parts:
        with open_image(data) as drawn:
            assert job.part is not None
            image.paste(drawn, job.part.region[:2])
            text = text or drawn.info.get("parameters", "")
    return encode_png(image, {"parameters": text} | own_text(scene.id, source.id, scene.mode, items=scene.items))
