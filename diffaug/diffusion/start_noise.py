"""The noise from which a text-to-image pipeline starts, copied to a GPU while the batch before is still drawn."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def start_noise(
    pipeline: Any, generators: Sequence[torch.Generator], size: tuple[int, int], device: torch.device
) -> Tensor | None:
    """The noise (B, C, h, w) that the pipeline would draw by itself from these CPU generators, for images of `size`
    (width, height); None for pipelines with other latents.

    The pipeline's own copy to the GPU waits for all work before it, one from pinned memory does not.
    """
    unet, factor = getattr(pipeline, "unet", None), getattr(pipeline, "vae_scale_factor", None)
    if unet is None or factor is None or unet.config.in_channels != pipeline.vae.config.latent_channels:
        return None
    shape = (1, unet.config.in_channels, size[1] // factor, size[0] // factor)
    noise = torch.cat([torch.randn(shape, generator=one, dtype=unet.dtype) for one in generators])
    return noise.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else noise
