"""Composing detection scenes: generated objects, cut out, on real train scenes."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from diffaug.compose import Item, cut_out, place
from diffaug.generation.plan import Job, SceneJob
from diffaug.generation.pnginfo import OWN_KEY
from diffaug.images import encode_png
from diffaug.params.generation import Paste
from diffaug.records import ImageSet, Record, make_record


def usual_sizes(train: ImageSet) -> dict[int, float]:
    """Each class's median of the longer sides of its real boxes, in pixels; a class without a box takes that of all."""
    sides: dict[int, list[float]] = {label: [] for label in range(len(train.names))}
    for record in train:
        for box, category in zip(record.bbox, record.category):
            sides[category].append(max(box[2:]))
    everything = [side for values in sides.values() for side in values]
    return {label: float(np.median(values or everything)) for label, values in sides.items()}


def compose(
    job: SceneJob,
    source: Record,
    items: Mapping[str, tuple[Job, Path]],
    sizes: Mapping[int, float],
    params: Paste,
    **provenance: object,
) -> Record:
    """The scene with its pasted objects; the source's own objects keep their boxes.

    Simple copy-paste (Ghiasi et al. 2021, arXiv:2012.07177) with generated objects. An object that is blank, or
    for which no free place is found, is left out. `items`: the drawn objects by id, as their jobs and PNG files;
    `sizes`: each class's usual longer side in pixels, which `params.scale` multiplies.
    """
    generator = np.random.default_rng([job.seed, 1])
    scene = source.open()
    boxes, categories = list(source.bbox), list(source.category)
    prompts = []
    for id in job.items:
        drawn, file = items[id]
        with Image.open(file) as picture:
            cut = cut_out(picture)
        if cut is None:
            continue
        usual = sizes[drawn.label] / max(cut.size)
        scale = (usual * params.scale[0], usual * params.scale[1])
        placed = place(scene, Item(cut, drawn.label), boxes, scale, params.max_overlap, generator)
        if placed is not None:
            scene, box = placed
            boxes.append(box)
            categories.append(drawn.label)
            prompts.append(drawn.prompt)
    own = {"id": job.id, "source": source.id, "mode": "paste", "items": job.items}
    return make_record(
        job.id,
        encode_png(scene, {OWN_KEY: json.dumps(own, sort_keys=True)}),
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
