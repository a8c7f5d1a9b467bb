"""The loss by which a pre-trained model is tuned: the error of what it predicts for noised latents."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.conditions import condition, rows_of
from diffaug.generator_training.latents import Latents
from diffaug.generator_training.loss import error_of
from diffaug.params.train_gen import TunedParams


@dataclass(frozen=True)
class Part:
    """Images that are learned together. `weight`: of their error in the loss; `first`: the place of their first caption
    among those of all parts."""

    data: Captioned
    latents: Latents
    weight: float = 1.0
    first: int = 0


def denoising_loss(
    pipeline: Any,
    parts: list[Part],
    captions: list[str],
    fixed: dict[str, Any] | None,
    tuned: TunedParams,
    flip: bool,
    caption_dropout: float = 0.0,
) -> Callable[[torch.Generator], Tensor]:
    """The error of the model's prediction (noise, velocity or image), summed over the parts. captions: of all parts;
    the last one is the empty one. fixed: their conditions; None if the text encoders are trained. flip: whether half of
    the images are mirrored; caption_dropout: the share of images whose caption is empty."""
    device, size = pipeline.unet.device, tuned.batch_size
    scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=pipeline.unet.dtype is torch.bfloat16)
    error = error_of(tuned.loss)

    def one(part: Part, generator: torch.Generator) -> Tensor:
        latents = part.latents
        index = torch.randint(len(latents.mean), (size,), generator=generator)
        steps = torch.randint(scheduler.config.num_train_timesteps, (size,), generator=generator)
        dropped = torch.rand(size, generator=generator) < caption_dropout
        mirrored = torch.rand(size, generator=generator) < (0.5 if flip else 0.0)
        draws = torch.randn((2, size, *latents.mean.shape[1:]), generator=generator)
        numbers = part.data.pick(index, generator) + part.first
        rows = torch.where(dropped, len(captions) - 1, numbers).tolist()
        index, steps, mirrored, draws = (value.to(device) for value in (index, steps, mirrored, draws))
        clean = latents.mean[index] + latents.std[index] * draws[0]
        # A mirrored latent is the latent of the mirrored image, except for the VAE's small asymmetry.
        clean = torch.where(mirrored[:, None, None, None], clean.flip(-1), clean)
        noisy = scheduler.add_noise(clean, draws[1], steps)
        arguments = (
            rows_of(fixed, rows) if fixed else condition(pipeline, [captions[row] for row in rows], tuned.size, device)
        )
        with autocast:
            predicted = pipeline.unet(noisy.to(pipeline.unet.dtype), steps, **arguments).sample
        return error(predicted.float(), _target(scheduler, clean, draws[1], steps)).mean()

    def loss(generator: torch.Generator) -> Tensor:
        return torch.stack([part.weight * one(part, generator) for part in parts]).sum()

    return loss


def _target(scheduler: DDPMScheduler, clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
    match scheduler.config.prediction_type:
        case "epsilon":
            return noise
        case "v_prediction":
            return scheduler.get_velocity(clean, noise, steps)
        case _:
            return clean
