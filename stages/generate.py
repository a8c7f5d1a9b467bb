"""Draw the synthetic images: reads models/generator or generate.model, and the real train sets, writes
data/generated/{cls,det}.

Alone: python stages/generate.py
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import diffaug.runtime.start  # noqa: F401 - first, so that Ctrl-C is one line while the others are imported
from diffaug.generation.composing.tables import write_tables
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.engines import draw_all
from diffaug.generation.plan.jobs import Job, Plan, SceneJob
from diffaug.generation.plan.plan import make_plan
from diffaug.hub.licence import licence_warning
from diffaug.params import Params
from diffaug.runtime.device import choose_device
from diffaug.runtime.files import atomic_path
from diffaug.segmenting.finding import finding
from diffaug.segmenting.objects import Objects
from diffaug.stage import run_stage


def generate(params: Params, work: Path) -> Mapping[str, float]:
    """Plan every image, draw the images that are not in the work cache, write the sets."""
    with finding(params.generate, work) as objects:
        plan = make_plan(params.generate, params.image_draws, objects)
    _write_plan(work / "plan.jsonl", plan)
    drawing = Drawing(params.generate, plan, work, choose_device())
    _say(drawing, params.generate.batch_size)
    _say_objects(plan.objects)
    drawn = draw_all(drawing, params.generate, work)
    write_tables(drawing, params.generate, Path("data/generated/cls"), Path("data/generated/det"))
    return {"images": drawn, "scenes": len(plan.scenes)}


def _write_plan(path: Path, plan: Plan) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        jobs: list[Job | SceneJob] = [*plan.drawn, *plan.scenes]
        for job in jobs:
            handle.write(json.dumps(asdict(job)) + "\n")


def _say(drawing: Drawing, batch_size: int) -> None:
    """Print notes before the long work starts. An image that is drawn already needs none about its model."""
    if not drawing.plan.drawn:
        return
    if drawing.unfinished():
        for note in (*drawing.sampler.model.notes, *drawing.sampler.notes(drawing.plan.drawn)):
            print(f"generate: {note.removeprefix('generate.')}")
    for network in drawing.networks:
        warning = licence_warning(network.name, network.licence)
        if warning:
            print(f"generate: note: {warning}")
    if drawing.waste() > 0.2:
        print(
            f"generate: note: {drawing.waste():.0%} of the work only fills up batches, since a batch is of one class, "
            f"mode and strength; a smaller batch_size, or one that divides the images of each, avoids this (now "
            f"{batch_size})"
        )


def _say_objects(objects: Objects) -> None:
    """In how many images no object was found, and the limits of the segmenter's licence."""
    missed, looked = objects.missed
    if missed:
        advice = "" if objects.segmenter else "; a network in generate.segmenter finds more"
        print(
            f"generate: note: cls.modes.inpaint: no object was found in {missed} of {looked} train images, which it "
            f"leaves out{advice}"
        )
    if objects.segmenter is not None:
        warning = licence_warning(objects.segmenter.name, objects.segmenter.licence)
        if warning:
            print(f"generate: note: {warning}")


if __name__ == "__main__":
    run_stage("generate", generate)
