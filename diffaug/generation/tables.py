"""From the work cache to the image tables, row by row: a run of any size needs the memory of a few images."""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from diffaug.generation.drawing import Drawing
from diffaug.generation.paste import compose, usual_sizes
from diffaug.generation.plan import Job
from diffaug.generation.pnginfo import read_flag
from diffaug.params.generation import GenerateParams
from diffaug.records import SHARD_ROWS, Record, make_record, write_shards


def write_tables(drawing: Drawing, params: GenerateParams, cls: Path, det: Path) -> None:
    """Write the generated images of both tasks. All of them must stand in the cache."""
    plan = drawing.plan
    images = _shards((job.mode, job.index, job) for job in plan.images)
    drawn = [(name, (_image(job, drawing) for job in jobs)) for name, jobs in images]
    write_shards(cls, plan.cls.names, drawn or [("00000", [])])
    backgrounds = _shards((job.mode, job.index, job) for job in plan.backgrounds)
    scenes = _shards(("paste", job.index, job) for job in plan.scenes)
    composer = _Composer(drawing, params)
    parts = itertools.chain(
        ((name, (_image(job, drawing) for job in jobs)) for name, jobs in backgrounds),
        ((name, (composer.scene(job) for job in jobs)) for name, jobs in scenes),
    )
    write_shards(det, plan.det.names, parts if plan.backgrounds or plan.scenes else [("00000", [])])


def provenance(job: Job, drawing: Drawing) -> dict[str, Any]:
    """The columns that say how an image was made."""
    settings = job.settings
    return {
        "prompt": job.prompt,
        "negative_prompt": job.negative_prompt,
        "seed": job.seed,
        "strength": settings.strength or None,
        "guidance_scale": settings.guidance_scale,
        "steps": settings.num_inference_steps,
        "scheduler": settings.scheduler,
        "eta": settings.eta if settings.eta >= 0 else None,
        "settings": json.dumps(drawing.sampler.other_settings(settings), sort_keys=True),
        **_model(drawing),
    }


def _model(drawing: Drawing) -> dict[str, Any]:
    model = drawing.sampler.model
    return {
        "model": model.located.name,
        "revision": model.located.revision,
        "weights_sha256": model.sha256,
        "licence": model.located.licence,
    }


def _image(job: Job, drawing: Drawing) -> Record:
    data, source = drawing.path(job).read_bytes(), drawing.source(job)
    labels = (
        {"label": job.label} if job.label >= 0 or source is None else {"bbox": source.bbox, "category": source.category}
    )
    return make_record(
        job.id,
        data,
        "train",
        **labels,
        origin="synthetic",
        source_id=job.source_id,
        mode=job.mode,
        index=job.index,
        flagged=read_flag(data),
        **provenance(job, drawing),
    )


class _Composer:
    """Pastes drawn objects into scenes."""

    def __init__(self, drawing: Drawing, params: GenerateParams) -> None:
        self._drawing = drawing
        self._params = params.det.modes.paste
        self._items = {job.id: (job, drawing.path(job)) for job in drawing.plan.items}
        self._sources = {record.id: record for record in drawing.plan.det}
        self._sizes = usual_sizes(drawing.plan.det)

    def scene(self, job: Any) -> Record:
        assert self._params is not None  # without it there are no such scenes
        # The objects' own settings are the general ones; a scene has a prompt and a seed of its own.
        common = provenance(self._items[job.items[0]][0], self._drawing)
        own = {key: value for key, value in common.items() if key not in ("prompt", "negative_prompt", "seed")}
        flags = [read_flag(self._items[item][1].read_bytes()) for item in job.items]
        own["flagged"] = any(flags) if any(flag is not None for flag in flags) else None
        return compose(job, self._sources[job.source_id], self._items, self._sizes, self._params, **own)


def _shards(jobs: Iterator[tuple[str, int, Any]]) -> list[tuple[str, Sequence[Any]]]:
    """Shard name to its jobs, in order: a thousand of one mode each, so that more images append."""
    ordered = sorted(jobs, key=lambda item: item[:2])
    named = itertools.groupby(ordered, key=lambda item: f"{item[0]}-{item[1] // SHARD_ROWS:05d}")
    return [(name, [job for _, _, job in members]) for name, members in named]
