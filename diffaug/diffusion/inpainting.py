"""Inpainting for models without their own inpainting pipeline: img2img, blended with the source at every step."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from torch.nn import functional as F

from diffaug.diffusion.abilities import modes


def has_inpainting(pipeline: Any) -> bool:
    """Whether the model's own inpainting is to be used: with a U-Net, diffusers has it for most models, and only for 4
    or 9 latent channels."""
    unet = getattr(pipeline, "unet", None)
    if unet is None:
        return True
    return unet.config.in_channels in (4, 9) and ("inpaint" in modes(pipeline) or "img2img" not in modes(pipeline))


def blend(
    pipeline: Any, source: Tensor, mask: Tensor, generators: Sequence[torch.Generator]
) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    """A `callback_on_step_end` for an img2img pipeline: outside the mask, the source's latent, equally noisy.

    Blended latent diffusion (Avrahami et al. 2022, arXiv:2206.02779). source: (B, 3, H, W) in [-1, 1]; mask: (B, 1, H,
    W), 1 where the image is redrawn; generators: one CPU generator per image.
    """
    vae, own = pipeline.vae, pipeline.vae.dtype
    if getattr(vae.config, "force_upcast", False):  # it overflows in float16, so the pipeline does the same
        vae.to(torch.float32)
    with torch.no_grad():
        encoded = vae.encode(source.to(pipeline._execution_device, vae.dtype))  # a VAE that waits is elsewhere
    vae.to(own)
    latent = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
    latent = (latent - (getattr(vae.config, "shift_factor", None) or 0.0)) * vae.config.scaling_factor
    if hasattr(encoded, "latent_dist"):  # the pipeline draws first the posterior's sample, then the noise
        randn_tensor(latent.shape, list(generators), device=latent.device, dtype=latent.dtype)
    noise = randn_tensor(latent.shape, list(generators), device=latent.device, dtype=latent.dtype)
    # A latent cell is redrawn if any of its pixels is redrawn; pixels that must stay are pasted back later.
    region = F.adaptive_max_pool2d(mask.to(latent), latent.shape[-2:])

    def after_step(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps = pipeline.scheduler.timesteps
        place = int((steps == timestep).nonzero()[-1]) + 1
        kept = latent
        if place < len(steps):
            kept = pipeline.scheduler.add_noise(latent, noise, steps[place : place + 1].expand(len(latent)))
        tensors["latents"] = region * tensors["latents"] + (1 - region) * kept.to(tensors["latents"])
        return tensors

    return after_step
