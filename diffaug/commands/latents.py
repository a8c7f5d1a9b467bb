"""Pictures to the latents of an open model's VAE, and back."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from diffaug.runtime.errors import UserError

_AT_ONCE = 8  # latents


def refuse_other_latents(pipeline: Any, command: str) -> None:
    """Raises UserError if the pipeline is not one whose latents its VAE decodes as they are: those with a U-Net."""
    if getattr(pipeline, "unet", None) is None or getattr(pipeline, "vae", None) is None:
        raise UserError(
            f"{command}: {type(pipeline).__name__} has no U-Net, and its latents are packed; take a Stable Diffusion"
        )


def encode(pipeline: Any, pixels: Tensor) -> Tensor:
    """The latent (1, C, h, w), float32, of pixels (1, 3, H, W) in [-1, 1]; a margin that does not fit is cut off."""
    factor, vae = pipeline.vae_scale_factor, pipeline.vae
    height, width = (side // factor * factor for side in pixels.shape[-2:])
    own = _upcast(vae)
    with torch.inference_mode():
        encoded = vae.encode(pixels[..., :height, :width].to(vae.device, vae.dtype))
    vae.to(own)
    latent = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents  # of a tiny VAE
    return latent.float().cpu() * vae.config.scaling_factor


def decode(pipeline: Any, latents: Tensor) -> list[Image.Image]:
    """The pictures, RGB, of latents (B, C, h, w)."""
    vae = pipeline.vae
    own = _upcast(vae)
    with torch.inference_mode():
        parts = [vae.decode(one.to(vae.device, vae.dtype)).sample.float().cpu() for one in _split(latents, vae)]
    vae.to(own)
    return [to_picture(one) for one in torch.cat(parts)]


def to_picture(pixels: Tensor) -> Image.Image:
    """Pixels (3, H, W) in [-1, 1] as RGB."""
    return Image.fromarray(((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())


def _split(latents: Tensor, vae: Any) -> tuple[Tensor, ...]:
    return (latents / vae.config.scaling_factor).split(_AT_ONCE)


def _upcast(vae: Any) -> torch.dtype:
    """Let a VAE that overflows in float16 compute in float32; returns its own data type."""
    own = vae.dtype
    if getattr(vae.config, "force_upcast", False):
        vae.to(torch.float32)
    return own
