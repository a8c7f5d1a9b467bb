"""The plan of everything to be made, before the first image is drawn."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from diffaug.dataset.records import ImageSet, read_set
from diffaug.generation.plan.formats import common_format
from diffaug.generation.plan.images import plan_cls
from diffaug.generation.plan.jobs import FOR_ALL, Job, Plan, SceneJob
from diffaug.generation.plan.objects import objects_to_paste
from diffaug.generation.plan.prompts import check_classes
from diffaug.generation.plan.scenes import plan_items, plan_pasted, plan_redrawn
from diffaug.params.generate import GenerateParams
from diffaug.segmenting.objects import Objects

Made = TypeVar("Made", Job, SceneJob)


def make_plan(params: GenerateParams, draws: Sequence[int | None] = FOR_ALL, objects: Objects | None = None) -> Plan:
    """The plan for the real train sets on this disk; `draws`: the training seeds, each of which gets its own images.
    objects: finds what the images show; without it by colours, and nothing that is found is kept."""
    cls, det = (read_set(Path(f"data/real/{task}/train")) for task in ("cls", "det"))
    return plan_for(params, cls, det, draws, objects)


def plan_for(
    params: GenerateParams,
    cls: ImageSet,
    det: ImageSet,
    draws: Sequence[int | None] = FOR_ALL,
    objects: Objects | None = None,
) -> Plan:
    """The plan for these real train sets; a task that is switched off has an empty one. A draw is planned as if it were
    alone, so another draw changes none of its images. Raises UserError if a mode finds nothing to start from."""
    if cls.names or det.names:
        check_classes(params, sorted({*cls.names, *det.names}))
    assert objects is not None or not (params.segmenter and params.segments())  # it is not what the params say
    objects = objects or Objects()
    paste = params.det.modes.paste
    real = objects_to_paste(paste, det, [], objects) if paste and paste.objects == "train" and len(det) else None
    plans = [_plan(params, cls, det, real, draw, objects) for draw in draws]
    return Plan(
        cls,
        det,
        images=tuple(job for one in plans for job in one.images),
        items=tuple(job for one in plans for job in one.items),
        parts=tuple(job for one in plans for job in one.parts),
        scenes=tuple(job for one in plans for job in one.scenes),
        draws=tuple(draws),
        objects=objects,
    )


def _plan(
    params: GenerateParams,
    cls: ImageSet,
    det: ImageSet,
    real: list[list[str]] | None,
    draw: int | None,
    objects: Objects,
) -> Plan:
    """One draw. real: the real objects to paste by class, None if objects are drawn."""
    if draw is not None:
        params = params.model_copy(update={"seed": _seed(params.seed, draw)})
    items = plan_items(params, det.names, common_format(det)[1]) if len(det) else []
    parts, redrawn = plan_redrawn(params, det)
    paste = params.det.modes.paste
    pasted = []
    if paste and len(det):
        pasted = plan_pasted(params, det, real or objects_to_paste(paste, det, items, objects))
    drawn = {job.id for job in (*items, *parts)}

    def named(jobs: Sequence[Made]) -> tuple[Made, ...]:
        return tuple(_of_draw(job, draw, drawn) for job in jobs)

    return Plan(cls, det, named(plan_cls(params, cls, objects)), named(items), named(parts), named([*redrawn, *pasted]))


def _of_draw(job: Made, draw: int | None, drawn: set[str]) -> Made:
    """The job with the draw in its id, and in those of the drawn items that a scene is made from."""
    if draw is None:
        return job
    changed = replace(job, id=f"s{draw}-{job.id}", draw=draw)
    if isinstance(changed, SceneJob):
        return replace(changed, items=tuple(f"s{draw}-{item}" if item in drawn else item for item in changed.items))
    return changed


def _seed(seed: int, draw: int) -> int:
    """The global seed of a draw: a hash of both, so that draws with neighbouring numbers share nothing."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0draw {draw}".encode()).digest()[:4], "big")
