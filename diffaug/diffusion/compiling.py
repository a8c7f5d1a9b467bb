"""The fastest settings for a GPU: static shapes, one memory format, compiled networks, no waiting for the GPU."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn


def compile_pipeline(pipeline: Any) -> None:
    """Compile the denoiser, and what encodes and decodes its latents, in place (PyTorch's "Accelerating generative AI",
    part III)."""
    for name in ("unet", "transformer"):
        network = getattr(pipeline, name, None)
        if network is not None:
            compile_network(network)
    vae = getattr(pipeline, "vae", None)
    if vae is not None:
        to_channels_last(vae)
        for part in (vae.encoder, vae.decoder):
            part.forward = _in_one_format(torch.compile(part.forward, dynamic=False), vae)


def compile_network(network: Any) -> None:
    """Compile a denoiser or a ControlNet in place: a U-Net as a whole; of a transformer the block that it repeats,
    which takes a fraction of the time and is as fast (PyTorch's recipe of regional compilation)."""
    to_channels_last(network)
    if getattr(network, "_repeated_blocks", None) and not isinstance(network, UNet2DConditionModel):
        network.compile_repeated_blocks(fullgraph=True, dynamic=False)
        return
    compiled = torch.compile(network.forward, fullgraph=True, dynamic=False)
    network.forward = _in_one_format(compiled, network)


def keep_steps_on_cpu(scheduler: Any) -> None:
    """Let the scheduler count its steps on the CPU, where its tables are: a step on the GPU, by which it reads a table,
    would make the CPU wait for the GPU. A U-Net moves the step itself."""
    scheduler.set_timesteps = partial(_on_cpu, scheduler.set_timesteps)


def _on_cpu(set_timesteps: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    return set_timesteps(*arguments, **named | {"device": torch.device("cpu")})


def _in_one_format(compiled: Callable[..., Any], network: nn.Module) -> Callable[..., Any]:
    """The function with its images in the memory format of the network's weights: a mode whose latents came in another
    one would compile everything again."""
    if not _takes_channels_last(network):
        return compiled

    @wraps(compiled)
    def called(*arguments: Any, **named: Any) -> Any:
        return compiled(*map(_formatted, arguments), **{name: _formatted(value) for name, value in named.items()})

    return called


def _formatted(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and all(isinstance(one, Tensor) for one in value):
        return type(value)(map(_formatted, value))  # what a ControlNet adds to the U-Net
    if isinstance(value, Tensor) and value.dim() == 4:
        return value.contiguous(memory_format=torch.channels_last)
    return value


def to_channels_last(network: nn.Module) -> None:
    """Store convolutions as GPUs with tensor cores compute them; a network without any stays as it is."""
    if _takes_channels_last(network):
        network.to(memory_format=torch.channels_last)


def _takes_channels_last(network: nn.Module) -> bool:
    return all(weight.dim() != 5 for weight in network.parameters())  # a VAE for videos has no such format
