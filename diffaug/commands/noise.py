"""`diffaug noise`: the forward process of a diffusion (Ho et al. 2020, arXiv:2006.11239) on a picture, as a strip."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from diffaug.commands.draw import read_photo
from diffaug.commands.latents import decode, encode, refuse_other_latents, to_picture
from diffaug.commands.pictures import refuse_folder, save_sheet
from diffaug.diffusion.opening import open_model
from diffaug.params.generate import GenerateParams
from diffaug.pictures.grid import Cell, make_grid
from diffaug.runtime.device import choose_device
from diffaug.runtime.errors import UserError

MODEL_OWN = "model"
# diffusers' names; cosine: Nichol and Dhariwal 2021, arXiv:2102.09672.
SCHEDULES = {
    "linear": "linear",
    "quadratic": "scaled_linear",
    "cosine": "squaredcos_cap_v2",
    "sigmoid": "sigmoid",
}
_FIRST, _LAST = 1e-4, 0.02  # variances of DDPM's first and last step, of 1000
_MOST = 0.999
_SIDE = 512  # pixels of the picture's longer side


def schedule(name: str, count: int) -> DDPMScheduler:
    """The noise of a schedule with so many steps: DDPM's variances, larger in proportion if the steps are fewer."""
    first, last = (min(_MOST, value * 1000 / count) for value in (_FIRST, _LAST))
    return DDPMScheduler(
        num_train_timesteps=count, beta_schedule=SCHEDULES[name], beta_start=first, beta_end=last, clip_sample=False
    )


def check_steps(steps: Sequence[int], count: int) -> None:
    """Raises UserError if there are no steps, or one is not of 0 to count - 1."""
    if not steps or not all(0 <= step < count for step in steps):
        raise UserError(
            f"noise: --steps: found {','.join(map(str, steps)) or 'none'}; allowed are numbers from 0 to {count - 1}, "
            f"of the {count} steps that --of says"
        )


def noised(clean: Tensor, steps: Sequence[int], scheduler: Any, seed: int, fixed: bool) -> list[Tensor]:
    """The picture or latent (1, C, H, W) at these steps, each with its own noise, or all with one fixed noise."""
    generator = torch.Generator("cpu").manual_seed(seed)
    first = torch.randn(clean.shape, generator=generator)
    found = []
    for number, step in enumerate(steps):
        noise = first if fixed or number == 0 else torch.randn(clean.shape, generator=generator)
        found.append(scheduler.add_noise(clean, noise.to(clean), torch.tensor([step])))
    return found


def strip(
    photo: Image.Image, steps: Sequence[int], scheduler: Any, seed: int, title: str, pipeline: Any | None
) -> Image.Image:
    """A labelled picture: the photograph at these steps in pixels and, with a latent model, as decoded latents."""
    pixels = pil_to_tensor(photo.convert("RGB"))[None].float() / 127.5 - 1
    columns = [f"step {step}, signal {_signal(scheduler, step):.0%}" for step in steps]
    rows = []
    for label, fixed in (("its own noise each", False), ("one fixed noise", True)):
        rows.append((f"pixels, {label}", [to_picture(one[0]) for one in noised(pixels, steps, scheduler, seed, fixed)]))
    if pipeline is not None:
        latents = torch.cat(noised(encode(pipeline, pixels), steps, scheduler, seed, True))
        rows.append(("latents, decoded", decode(pipeline, latents)))
    return make_grid(title, columns, [(label, [Cell(one) for one in row]) for label, row in rows])


def write_noise(
    photo: Path, steps: Sequence[int], count: int, name: str, seed: int, params: GenerateParams | None, out: Path
) -> None:
    """Write the strip. params: name the model whose latents, and whose schedule if it is "model", are shown; None for
    pixels alone. Raises UserError."""
    refuse_folder(out)
    picture = read_photo(photo).open()
    picture.thumbnail((_SIDE, _SIDE))
    if name != MODEL_OWN:
        check_steps(steps, count)
    elif params is None:
        raise UserError("noise: --schedule model is that of a model; add --latent, or choose another schedule")
    pipeline = open_model(params, choose_device()).pipeline if params is not None else None
    if pipeline is not None:
        refuse_other_latents(pipeline, "noise")
    if pipeline is not None and name == MODEL_OWN:
        if "beta_start" not in pipeline.scheduler.config:
            kind = type(pipeline.scheduler).__name__
            raise UserError(f"noise: --schedule model: the model's {kind} has no variances; choose another schedule")
        # Some of the library's schedulers add noise without taking signal away; DDPM's keeps the variance.
        scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)
        count = scheduler.config.num_train_timesteps
        check_steps(steps, count)
    else:
        scheduler = schedule(name, count)
    save_sheet(strip(picture, steps, scheduler, seed, f"{photo.name}: {name} schedule, {count} steps", pipeline), out)


def _signal(scheduler: Any, step: int) -> float:
    """The share of the picture's variance that is left."""
    return float(scheduler.alphas_cumprod[step])
