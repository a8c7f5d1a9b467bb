"""`diffaug sheet`: an image over a grid of settings, with the seconds of each and, if wished, KID to real images."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from diffaug.commands.axes import LORA, Axis, combinations, parse_axes
from diffaug.commands.draw import Wish, hand_jobs, hand_params, make_wish, open_for, say
from diffaug.commands.kid import Nearness, check_kid, nearness_to
from diffaug.commands.pictures import refuse_folder, save_sheet
from diffaug.dataset.records import Record
from diffaug.generation.drawing.sampler import Sampler, open_sampler
from diffaug.generation.plan.jobs import Job, Plan, batches
from diffaug.generation.plan.plan import make_plan
from diffaug.params import Params
from diffaug.params.sampling import check_steps
from diffaug.pictures.grid import Cell, make_grid
from diffaug.runtime.device import choose_device
from diffaug.runtime.errors import UserError
from diffaug.runtime.tables import write_table
from diffaug.runtime.work import work_folder
from diffaug.segmenting.finding import finding

_SIZES = ("width", "height")  # of the image as the model draws it, before it is brought to the size of its set


@dataclass(frozen=True)
class Subject:
    """What is drawn with all settings: the first of its jobs is shown. names: of the classes, if there are any; real:
    the images of the task, with which all of its jobs are compared."""

    sampler: Sampler
    jobs: tuple[Job, ...]
    sources: Mapping[str, Record]
    names: tuple[str, ...] = ()
    task: str = "cls"
    real: tuple[Record, ...] = ()

    @property
    def title(self) -> str:
        """One line."""
        job = self.jobs[0]
        return f"{job.mode}: {job.prompt}" + (f" (source {job.source_id})" if job.source_id in self.sources else "")


@dataclass(frozen=True)
class Choice:
    """Which of the plan's images: the first ones of a task, mode and class; without them, the task that has images, and
    the first mode and class."""

    task: str | None = None
    mode: str | None = None
    class_name: str | None = None


@dataclass(frozen=True)
class Measured:
    """A cell: its first image, the seconds of an image, and KID with its standard error."""

    image: Image.Image
    seconds: float
    kid: tuple[float, float] | None


def sheet(
    params: Params,
    axes: Sequence[str],
    *,
    task: str | None = None,
    mode: str | None = None,
    class_name: str | None = None,
    prompt: str | None = None,
    image: Path | None = None,
    mask: Path | None = None,
    model: Mapping[str, str] | None = None,
    lora: Sequence[Mapping[str, Any]] | None = None,
    seed: int | None = None,
    kid: int | None = None,
    real: Path | None = None,
    csv: Path | None = None,
    out: Path = Path("sheet.png"),
) -> list[Path]:
    """Write a page for the first two axes, or for each choice of values of the others, and the numbers as a table;
    returns the paths. axes: as `Axis.parse` reads them; kid: images in each cell. Raises UserError."""
    refuse_folder(out)
    chosen = parse_axes(axes)
    check_kid(chosen, kid, real, prompt is not None)
    by_plan = {"--task": task, "--mode": mode, "--class": class_name}
    own = {"--image": image, "--mask": mask, "--model": model, "--lora": lora, "--seed": seed}
    for name, value in by_plan.items() if prompt is not None else own.items():
        if value is not None:
            raise UserError(
                f"sheet: {name} chooses an image of the plan, and --prompt draws one of your own; leave one of them out"
                if prompt is not None
                else f"sheet: {name} belongs to a prompt of your own; give it with --prompt"
            )
    scales = next((axis.values for axis in chosen if axis.name == LORA), None)
    if scales is not None and len(lora or ()) != 1:
        raise UserError(f"sheet: {LORA}: give the LoRA, one, with --prompt and --lora PATH")

    def subject(scale: float | None) -> Subject:
        if prompt is None:
            return of_plan(params, Choice(task, mode, class_name), kid or 1)
        wish = make_wish(prompt, "", None, count=kid or 1, seed=seed or 0, image=image, mask=mask)
        changes = {"model": model} if model else {}
        added = [{**one, "scale": one["scale"] if scale is None else scale} for one in lora or ()]
        return by_hand(params, changes | ({"loras": added} if added else {}), wish)

    first = subject(scales[0] if scales else None)
    nearness = nearness_to(params, first.task, first.real, real) if kid is not None else None
    found = measure(first, chosen, nearness, scales[0] if scales else None)
    for scale in scales[1:] if scales else ():  # the weights of each have the LoRA in them, so each is opened
        found |= measure(subject(scale), chosen, nearness, scale)
    return write_sheet(first, chosen, found, out, csv)


def of_plan(params: Params, choice: Choice, count: int) -> Subject:
    """The first `count` images that `generate` would draw. Raises UserError if there are fewer."""
    with finding(params.generate, work_folder("generate")) as objects:
        plan = make_plan(params.generate, params.image_draws[:1], objects)
    task = choice.task or ("cls" if len(plan.cls) else "det")
    jobs = jobs_of(plan, replace(choice, task=task), count)
    real = plan.cls if task == "cls" else plan.det
    # Parts of scenes have no real counterparts, and what is drawn over a real image is near to it in any case.
    comparable = task == "cls" and all(job.source_id is None for job in jobs)
    alike = [one for one in plan.cls if choice.class_name is None or one.label == jobs[0].label] if comparable else []
    sampler = open_sampler(params.generate, choose_device(), plan.object_of)
    sources = {one.id: one for one in real}
    return Subject(sampler, jobs, sources, real.names, task, tuple(alike))


def jobs_of(plan: Plan, choice: Choice, count: int) -> tuple[Job, ...]:
    """The plan's first `count` jobs of the choice, whose task is given. Raises UserError if it has fewer."""
    names = plan.cls.names if choice.task == "cls" else plan.det.names
    jobs = plan.images if choice.task == "cls" else (*plan.parts, *plan.items)
    if choice.class_name is not None and choice.class_name not in names:
        raise UserError(f"--class {choice.class_name!r}: there is no such class; the classes are {', '.join(names)}")
    label = names.index(choice.class_name) if choice.class_name is not None else None
    chosen = [job for job in jobs if choice.mode in (None, job.mode) and label in (None, job.label)]
    given = (("mode", choice.mode), ("class", choice.class_name))
    wanted = " and ".join(f"--{name} {value}" for name, value in given if value) or choice.task
    if not chosen:
        modes = ", ".join(sorted({job.mode for job in jobs})) or "none"
        raise UserError(
            f"{wanted}: generate.{choice.task} draws no such image, only modes: {modes}; add it to "
            f"generate.{choice.task}.modes"
        )
    alike = [job for job in chosen if job.mode == chosen[0].mode]
    if len(alike) < count:
        raise UserError(
            f"--kid {count}: generate.{choice.task} draws only {len(alike)} images of mode {alike[0].mode} for "
            f"{wanted}; raise its number of images, or give a --prompt"
        )
    return tuple(alike[:count])


def by_hand(params: Params, changes: Mapping[str, Any], wish: Wish) -> Subject:
    """What `diffaug draw` would draw. Raises UserError."""
    own = hand_params(params.generate, changes, wish)
    sampler, photo = open_for(own, wish)
    jobs = hand_jobs(own, wish, photo, sampler.model.found.learned)
    return Subject(sampler, tuple(jobs), {photo.id: photo} if photo is not None else {})


def check(subject: Subject, axes: Sequence[Axis]) -> None:
    """Raises UserError, before any work, if a choice of values cannot be drawn; prints what to know."""
    jobs = [_put(subject, subject.jobs[0], axes, values) for values in combinations(axes)]
    for job in jobs:
        try:
            check_steps(job.settings.num_inference_steps, job.settings.strength)
        except ValueError as error:
            raise UserError(f"sheet: {error}") from None
    say(subject.sampler, jobs, "sheet")
    subject.sampler.check(jobs)


def measure(
    subject: Subject, axes: Sequence[Axis], nearness: Nearness | None = None, scale: float | None = None
) -> dict[tuple[Any, ...], Measured]:
    """Each choice of values, drawn; scale: of the LoRA in the subject's model, if this is an axis. Raises UserError,
    before any work, if one cannot be."""
    check(subject, axes)
    _draw(subject, subject.jobs[:1])  # the first call compiles and allocates, so it is not timed
    axes = [replace(axis, values=(scale,)) if axis.name == LORA else axis for axis in axes]
    cells = list(combinations(axes))
    sizes = not {axis.name for axis in axes}.isdisjoint(_SIZES)
    found: dict[tuple[Any, ...], Measured] = {}
    with tqdm(total=len(cells) * len(subject.jobs), desc="sheet", unit="image") as bar:
        for values in cells:
            jobs = [_put(subject, job, axes, values) for job in subject.jobs]
            start = time.perf_counter()
            images, as_drawn, count = _draw(subject, jobs)
            seconds = (time.perf_counter() - start) / count
            kid = nearness(list(images.values())) if nearness is not None else None
            found[values] = Measured(as_drawn if sizes else images[jobs[0].id], seconds, kid)
            bar.update(len(jobs))
    return found


def page(subject: Subject, axes: Sequence[Axis], found: Mapping[tuple[Any, ...], Measured], rest: tuple) -> Image.Image:
    """The first axis across, the second down, at the values `rest` of the others; in each cell the seconds of an image,
    its size, and KID. If a size is an axis, images are as the model draws them."""
    across, down, further = axes[0], axes[1:2], axes[2:]
    rows = []
    for row in combinations(down):
        label = f"{down[0].name} = {row[0]}" if down else ""
        rows.append((label, [_cell(found[value, *row, *rest]) for value in across.values]))
    where = ", ".join(f"{axis.name} = {value}" for axis, value in zip(further, rest))
    title = f"{where}: {subject.title}" if where else subject.title
    return make_grid(title, [f"{across.name} = {value}" for value in across.values], rows)


def write_sheet(
    subject: Subject, axes: Sequence[Axis], found: Mapping[tuple[Any, ...], Measured], out: Path, csv: Path | None
) -> list[Path]:
    """Write a page for the first two axes, or for each choice of values of the others, and the numbers as a table;
    returns the paths."""
    pages = list(combinations(axes[2:]))
    names = [out] if len(pages) == 1 else [out.with_stem(f"{out.stem}-{n}") for n in range(1, len(pages) + 1)]
    for path, rest in zip(names, pages):
        save_sheet(page(subject, axes, found, rest), path)
    if csv is None:
        return names
    head = [*(axis.name for axis in axes), "seconds_per_image", "images", "kid", "kid_error"]
    count = len(subject.jobs)
    write_table(csv, head, [[*values, one.seconds, count, *(one.kid or ("", ""))] for values, one in found.items()])
    return [*names, csv]


def _draw(subject: Subject, jobs: Sequence[Job]) -> tuple[dict[str, Image.Image], Image.Image, int]:
    """The finished images by the ids of the jobs, the first as the model draws it, and how many were drawn with those
    that fill up batches."""
    sampler = subject.sampler
    images: dict[str, Image.Image] = {}
    drawn: dict[str, Image.Image] = {}
    parts = batches(jobs, sampler.batch_size)
    for batch in parts:
        for job, image in zip(batch, sampler.draw(batch, subject.sources).images()):
            images[job.id] = sampler.views.finish(image, job, subject.sources.get(job.source_id or ""))
            drawn = drawn or ({job.id: image} if job.id == jobs[0].id else {})
    return images, drawn[jobs[0].id], len(parts) * sampler.batch_size


def _put(subject: Subject, job: Job, axes: Sequence[Axis], values: Sequence[Any]) -> Job:
    for axis, value in zip(axes, values):
        job = axis.put(job, value, subject.names)
    return job


def _cell(one: Measured) -> Cell:
    size = f"{one.image.width} x {one.image.height} pixels"
    kid = f"\nKID {one.kid[0]:.4f} +- {one.kid[1]:.4f}" if one.kid else ""
    return Cell(one.image, f"{one.seconds:.3g} s/image, {size}{kid}")
