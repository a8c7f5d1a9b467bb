"""Images as the latents of a pre-trained model that is tuned."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffaug.generator_training.latents import Latents, encode_all, kept
from diffaug.runtime.errors import UserError

_PIXELS_AT_ONCE = 512**2  # of the images that the VAE encodes together


def refuse_no_unet(pipeline: Any, key: str) -> None:
    """Raises UserError if the pipeline, which the parameter `key` names, has no U-Net."""
    if getattr(pipeline, "unet", None) is None:
        raise UserError(
            f"params.yaml: {key}: {type(pipeline).__name__} has no U-Net, and only models with one are trained (Stable "
            "Diffusion 1, 2 and XL, Kolors); set train_gen.method: none to use it without training"
        )


def encode_latents(pipeline: Any, images: Tensor, device: torch.device, file: Path) -> Latents:
    """The images' posteriors, scaled as the U-Net expects them, float32; kept in the file for a later start.

    Only the VAE is on the device meanwhile, with as many images at once as make one of 512 x 512 pixels.
    """
    vae = pipeline.vae
    own, batch_size = vae.dtype, max(1, _PIXELS_AT_ONCE // images.shape[-1] ** 2)

    def encode() -> tuple[Tensor, Tensor]:
        vae.to(device, torch.float32)  # SDXL's VAE overflows in half precision
        return encode_all(vae, images, batch_size)

    mean, std = (one.to(device) for one in kept(file, encode))
    vae.to("cpu", own)
    shift, scale = getattr(vae.config, "shift_factor", None) or 0.0, vae.config.scaling_factor
    return Latents(((mean - shift) * scale).float(), (std * scale).float())
