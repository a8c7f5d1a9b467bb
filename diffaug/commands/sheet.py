"""`diffaug sheet`: one image over a grid of two settings, before a long run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml
from PIL import Image
from tqdm import tqdm

from diffaug.dataset.records import Record
from diffaug.generation.drawing.sampler import Sampler, open_sampler
from diffaug.generation.plan.jobs import Job, Plan, Settings
from diffaug.generation.plan.plan import make_plan
from diffaug.params import Params
from diffaug.params.sampling import OneImage, check_steps, checked
from diffaug.pictures.grid import Cell, make_grid
from diffaug.report.sheet import save_png
from diffaug.runtime.device import choose_device
from diffaug.runtime.errors import UserError
from diffaug.runtime.work import work_folder
from diffaug.runtime.yaml_files import parse_yaml
from diffaug.segmenting.finding import finding

_JOB_KEYS = ("prompt", "negative_prompt", "seed")
_SIZES = ("width", "height")  # of the image as the model draws it, before it is brought to the size of its set
_WORDS = ("prompt", "negative_prompt", "scheduler")
_SETTING_KEYS = tuple(field.name for field in fields(Settings) if field.name not in ("mode", "negative"))


@dataclass(frozen=True)
class Axis:
    """A setting and its values along one side of the grid."""

    name: str
    values: tuple[Any, ...]

    @classmethod
    def parse(cls, text: str) -> "Axis":
        """From `name=value,value,...`; prompts are separated by `|`. Raises UserError."""
        name, _, values = text.partition("=")
        allowed = (*_JOB_KEYS, *_SETTING_KEYS)
        if name not in allowed or not values:
            raise UserError(f"{text!r} is not NAME=VALUE,VALUE with a NAME of {', '.join(allowed)}")
        chosen: list[Any] = []
        for value in values.split("|" if "prompt" in name else ","):
            try:
                read = value.strip() if name in _WORDS else parse_yaml(value)
                chosen.append(checked(OneImage, {name: read})[name])
            except (ValueError, yaml.YAMLError) as error:
                raise UserError(f"{text!r}: {error}") from None
        return cls(name, tuple(chosen))

    def put(self, job: Job, value: Any, names: Sequence[str]) -> Job:
        """The job with this value; `{class}` in a prompt is replaced by its class, from `names`."""
        if self.name == "prompt":
            return replace(job, prompt=value.replace("{class}", names[job.label] if job.label >= 0 else "object"))
        if self.name == "negative_prompt":
            settings = replace(job.settings, negative=bool(value))
            return replace(job, negative_prompt=value, settings=settings)
        if self.name == "strength" and not job.settings.strength:
            raise UserError(f"strength: mode {job.mode} has no strength; choose another --mode")
        if self.name in _JOB_KEYS:
            return replace(job, **{self.name: value})
        return replace(job, settings=replace(job.settings, **{self.name: value}))


def first_job(plan: Plan, task: str, mode: str | None, class_name: str | None) -> Job:
    """The plan's first job of this task ("cls" or "det"), mode and class. Raises UserError if it has none."""
    names = plan.cls.names if task == "cls" else plan.det.names
    jobs = plan.images if task == "cls" else (*plan.parts, *plan.items)
    if class_name is not None and class_name not in names:
        raise UserError(f"--class {class_name!r}: there is no such class; the classes are {', '.join(names)}")
    label = names.index(class_name) if class_name is not None else None
    for job in jobs:
        if mode in (None, job.mode) and label in (None, job.label):
            return job
    modes = ", ".join(sorted({job.mode for job in jobs})) or "none"
    wanted = " and ".join(f"--{name} {value}" for name, value in (("mode", mode), ("class", class_name)) if value)
    raise UserError(
        f"{wanted or task}: generate.{task} draws no such image, only modes: {modes}; add it to generate.{task}.modes"
    )


def sheet(
    sampler: Sampler, job: Job, source: Record | None, across: Axis, down: Axis, names: Sequence[str]
) -> Image.Image:
    """The job drawn with every pair of values, as one labelled grid with the seconds per image and its size in each
    cell; if a size is chosen, the image is as the model draws it. Raises UserError if both settings are the same."""
    if across.name == down.name:
        raise UserError(f"{down.name} is given twice, so one of the two would be ignored; give two different settings")
    sources = {source.id: source} if source else {}
    cells = {
        (row, column): down.put(across.put(job, first, names), second, names)
        for row, second in enumerate(down.values)
        for column, first in enumerate(across.values)
    }
    for wanted in cells.values():
        try:
            check_steps(wanted.settings.num_inference_steps, wanted.settings.strength)
        except ValueError as error:
            raise UserError(f"sheet: {error}") from None
    sampler.check(list(cells.values()))
    batch = sampler.batch_size  # as `generate` draws it: the seconds of an image depend on it
    sampler.draw([job] * batch, sources)  # the first call compiles and allocates, so it is not timed
    drawn: dict[tuple[int, int], Cell] = {}
    for place, wanted in tqdm(cells.items(), desc="sheet", unit="image"):
        start = time.perf_counter()
        image = sampler.draw([wanted] * batch, sources).images()[0]
        seconds = (time.perf_counter() - start) / batch
        if {across.name, down.name}.isdisjoint(_SIZES):
            image = sampler.views.finish(image, wanted, source)
        drawn[place] = Cell(image, f"{seconds:.3g} s/image\n{image.width} x {image.height} pixels")
    rows = [
        (f"{down.name} = {value}", [drawn[row, column] for column in range(len(across.values))])
        for row, value in enumerate(down.values)
    ]
    title = f"{job.mode}: {job.prompt}" + (f" (source {job.source_id})" if job.source_id else "")
    return make_grid(title, [f"{across.name} = {value}" for value in across.values], rows)


def write_sheet(
    params: Params, across: Axis, down: Axis, task: str | None, mode: str | None, class_name: str | None, out: Path
) -> Job:
    """Write the first image of a task, mode and class with every pair of two settings; returns its job.

    task: default: the one that has images; mode, class_name: default: the first. Raises UserError.
    """
    with finding(params.generate, work_folder("generate")) as objects:
        plan = make_plan(params.generate, params.image_draws[:1], objects)
    task = task or ("cls" if len(plan.cls) else "det")
    job = first_job(plan, task, mode, class_name)
    real = plan.cls if task == "cls" else plan.det
    source = next((record for record in real if record.id == job.source_id), None)
    sampler = open_sampler(params.generate, choose_device(), plan.object_of)
    save_png(sheet(sampler, job, source, across, down, real.names), out)
    return job
