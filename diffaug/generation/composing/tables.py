"""From the work cache to the image tables, row by row, so that any run needs the memory of only a few images."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffaug.dataset.records import SHARD_ROWS, Record, make_record, write_shards
from diffaug.generation.composing.composer import Composer
from diffaug.generation.drawing.cache import read_drawn
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.pnginfo import read_flag
from diffaug.generation.plan.jobs import Job
from diffaug.params.generate import GenerateParams


def write_tables(drawing: Drawing, params: GenerateParams, cls: Path, det: Path) -> None:
    """Write the generated images of both tasks. All of them must be in the cache."""
    plan = drawing.plan
    images = _shards((job.mode, job.index, job) for job in plan.images)
    drawn = [(name, (_image(job, drawing) for job in jobs)) for name, jobs in images]
    write_shards(cls, plan.cls.names, drawn or [("00000", [])])
    paths = {job.id: drawing.path(job) for job in (*plan.items, *plan.parts)}
    if plan.items and plan.objects.segmenter is not None:
        drawing.release()  # the segmenter cuts the drawn objects out
    composer = Composer(drawing, params, lambda id: read_drawn(paths[id]))
    scenes = _shards((scene.mode, scene.index, scene) for scene in plan.scenes)
    composed = [(name, (composer.scene(scene) for scene in members)) for name, members in scenes]
    write_shards(det, plan.det.names, composed or [("00000", [])])
    if failed := composer.not_cut():
        counts = ", ".join(f"{count} of {total} {name}" for name, (count, total) in failed.items())
        print(
            f"generate: note: {counts} could not be cut out of the background that was drawn with them, so they are "
            "not pasted; leave such classes out with generate.det.modes.paste.classes, or use objects: train"
        )


def _image(job: Job, drawing: Drawing) -> Record:
    data = read_drawn(drawing.path(job))
    return make_record(
        job.id,
        data,
        "train",
        label=job.label,
        origin="synthetic",
        **replace(drawing.provenance(job), flagged=read_flag(data)).columns(),
    )


def _shards(jobs: Iterator[tuple[str, int, Any]]) -> list[tuple[str, Sequence[Any]]]:
    """Shard name to its jobs, in order. A shard has a thousand jobs of one mode, so a larger count appends."""
    ordered = sorted(jobs, key=lambda item: item[:2])
    named = itertools.groupby(ordered, key=lambda item: f"{item[0]}-{item[1] // SHARD_ROWS:05d}")
    return [(name, [job for _, _, job in members]) for name, members in named]
