"""Composing detection scenes: generated objects, cut out, on real train scenes."""

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from diffaug.compose import Item, cut_out, place
from diffaug.generation.plan import Job, SceneJob
from diffaug.images import encode_png
from diffaug.params import Paste
from diffaug.records import Record, make_record


def compose(
    job: SceneJob, source: Record, items: Mapping[str, tuple[Job, bytes]], params: Paste, **provenance: object
) -> Record:
    """The scene with its pasted objects; the source's own objects keep their boxes.

    Simple copy-paste (Ghiasi et al. 2021, arXiv:2012.07177) with generated objects. An object for which no free
    place is found is left out. `items`: the drawn objects by id, as their jobs and PNG bytes.
    """
    generator = np.random.default_rng([job.seed, 1])
    scene = source.open()
    boxes, categories = list(source.bbox), list(source.category)
    prompts = []
    for id in job.items:
        drawn, data = items[id]
        item = Item(cut_out(Image.open(io.BytesIO(data))), drawn.label)
        placed = place(scene, item, boxes, (params.scale[0], params.scale[1]), params.max_overlap, generator)
        if placed is not None:
            scene, box = placed
            boxes.append(box)
            categories.append(drawn.label)
            prompts.append(drawn.prompt)
    return make_record(
        job.id,
        encode_png(scene),
        "train",
        bbox=tuple(boxes),
        category=tuple(categories),
        origin="synthetic",
        source_id=source.id,
        mode="paste",
        prompt=" | ".join(prompts),
        seed=job.seed,
        index=job.index,
        **provenance,
    )
