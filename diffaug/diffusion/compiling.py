"""The fastest settings for a GPU: static shapes, channels last, compiled networks."""

from typing import Any

import torch


def compile_networks(pipeline: Any) -> None:
    """Compile the denoiser and the decoder in place (PyTorch's "Accelerating generative AI", part III)."""
    for name in ("unet", "transformer"):
        network = getattr(pipeline, name, None)
        if network is not None:
            _channels_last(network)
            network.compile(fullgraph=True, dynamic=False)
    vae = getattr(pipeline, "vae", None)
    if vae is not None:
        _channels_last(vae)
        vae.decode = torch.compile(vae.decode, dynamic=False)


def _channels_last(network: Any) -> None:
    if all(weight.dim() != 5 for weight in network.parameters()):  # a VAE for videos has no such layout
        network.to(memory_format=torch.channels_last)
