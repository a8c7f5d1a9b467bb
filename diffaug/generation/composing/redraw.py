"""Composing detection scenes: parts of a real scene drawn anew and put back in their places."""

import io
import json
from collections.abc import Sequence
from typing import Any

from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.generation.drawing.pnginfo import OWN_KEY
from diffaug.generation.plan.jobs import Job, SceneJob


def put_together(
    scene: SceneJob,
    source: Record,
    parts: Sequence[tuple[Job, bytes]],
    settings: dict[str, Any],
    **provenance: object,
) -> Record:
    """The scene with its parts (jobs and their PNG files) drawn anew. The boxes are the source's; a redrawn object has
    the class that it was drawn as. `settings`: what is to stand in the row beside the parts' own."""
    categories = list(source.category)
    for job, _ in parts:
        assert job.part is not None  # all jobs of a scene have one
        if job.part.object >= 0:
            categories[job.part.object] = job.label
    own = {
        "parts": [
            {
                "region": job.part.region,
                "object": job.part.object,
                "padding": job.part.padding,
                "feather": job.part.feather,
                "prompt": job.prompt,
                "seed": job.seed,
                "strength": job.settings.strength,
            }
            for job, _ in parts
            if job.part is not None
        ]
    }
    strengths = {job.settings.strength for job, _ in parts}
    return make_record(
        scene.id,
        _picture(scene, source, parts),
        "train",
        bbox=source.bbox,
        category=tuple(categories),
        origin="synthetic",
        source_id=source.id,
        mode=scene.mode,
        index=scene.index,
        prompt=" | ".join(dict.fromkeys(job.prompt for job, _ in parts)),
        negative_prompt=" | ".join(dict.fromkeys(job.negative_prompt for job, _ in parts)),
        seed=scene.seed,
        strength=strengths.pop() if len(strengths) == 1 else None,  # else the parts say theirs
        settings=json.dumps(settings | own, sort_keys=True),
        **provenance,
    )


def _picture(scene: SceneJob, source: Record, parts: Sequence[tuple[Job, bytes]]) -> bytes:
    image = source.open()
    text = ""
    for job, data in parts:
        with Image.open(io.BytesIO(data)) as drawn:
            assert job.part is not None
            image.paste(drawn, job.part.region[:2])
            text = text or drawn.info.get("parameters", "")
    own = {"id": scene.id, "source": source.id, "mode": scene.mode, "items": scene.items}
    return encode_png(image, {"parameters": text, OWN_KEY: json.dumps(own, sort_keys=True)})
