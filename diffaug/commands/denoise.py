"""`diffaug denoise`: how a diffusion draws: its estimate of the clean image at every step of the reverse process, as a
strip and as a moving picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from diffaug.commands.draw import Wish, hand_jobs, hand_params, open_for, say
from diffaug.commands.latents import decode, refuse_other_latents
from diffaug.commands.pictures import refuse_folder, save_sheet
from diffaug.generation.drawing.sampler import Sampler
from diffaug.generation.plan.jobs import Job
from diffaug.params.generate import GenerateParams
from diffaug.pictures.grid import Cell, make_grid
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

_IN_STRIP = 8  # steps
_FRAME, _LAST_FRAME = 120, 1500  # milliseconds of a frame, and of the last one
_WIDEST = 1024  # pixels of a frame
_ENLARGED = 512  # up to which small pictures are enlarged
_COLOURS = 128  # of a frame; with all 256, noise makes the file twice as large


def frames(sampler: Sampler, jobs: Sequence[Job]) -> list[list[Image.Image]]:
    """For every step, the estimated clean image of each job, RGB. Raises UserError if the scheduler gives none."""
    estimates: list[Tensor] = []

    def keep(result: tuple[Tensor, ...]) -> None:
        if len(result) > 1:
            estimates.append(result[1][: len(jobs)].detach().float().cpu())

    sampler.draw(jobs, {}, keep)
    if not estimates:
        raise UserError(
            f"denoise: the scheduler {jobs[0].settings.scheduler} does not say what it estimates; use ddim, ddpm, "
            "euler, euler_a, heun or lcm"
        )
    steps = [decode(sampler.model.pipeline, estimate) for estimate in estimates]
    return [[sampler.views.finish(image, job, None) for image, job in zip(step, jobs)] for step in steps]


def denoise(base: GenerateParams, changes: Mapping[str, Any], wish: Wish, strip: Path, gif: Path | None) -> list[Path]:
    """Write the strip of some steps and, if wished, the moving picture of all; returns the paths. Raises UserError."""
    refuse_folder(strip)
    sampler, _ = open_for(hand_params(base, {"batch_size": wish.count, **changes}, wish), wish)
    jobs = hand_jobs(sampler.params, wish, None, sampler.model.found.learned)
    refuse_other_latents(sampler.model.pipeline, "denoise")
    say(sampler, jobs, "denoise")
    sampler.check(jobs)
    drawn = frames(sampler, jobs)
    save_sheet(_strip(jobs, drawn), strip)
    if gif is None:
        return [strip]
    write_gif([_together(step) for step in drawn], gif)
    return [strip, gif]


def write_gif(pictures: Sequence[Image.Image], path: Path) -> None:
    """An endless moving picture, which stays on the last one for a while. Raises UserError if there are none."""
    if not pictures:
        raise UserError(f"{path}: there are no steps to show; give --steps 1 or more")
    first, *rest = (picture.quantize(_COLOURS, dither=Image.Dither.NONE) for picture in pictures)
    durations = [_FRAME] * len(rest) + [_LAST_FRAME]
    with atomic_path(path) as temporary:
        first.save(temporary, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)


def _strip(jobs: Sequence[Job], drawn: Sequence[Sequence[Image.Image]]) -> Image.Image:
    chosen = np.unique(np.linspace(0, len(drawn) - 1, min(_IN_STRIP, len(drawn))).round().astype(int))
    columns = [f"step {number + 1} of {len(drawn)}" for number in chosen]
    shown = min(len(jobs), _IN_STRIP)
    rows = [(f"seed {jobs[row].seed}", [Cell(drawn[number][row]) for number in chosen]) for row in range(shown)]
    return make_grid(f"{jobs[0].prompt}: the estimate of the clean image, {jobs[0].settings.scheduler}", columns, rows)


def _together(pictures: Sequence[Image.Image]) -> Image.Image:
    """All pictures of a step in a square; small ones are enlarged without smoothing, large ones reduced."""
    columns = int(np.ceil(len(pictures) ** 0.5))
    width, height = pictures[0].size
    times = max(1, min(_ENLARGED // (columns * width), 256 // width))
    sheet = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * width, number // columns * height))
    if max(sheet.size) > _WIDEST:
        sheet.thumbnail((_WIDEST, _WIDEST))
    return sheet.resize((sheet.width * times, sheet.height * times), Image.Resampling.NEAREST)
