"""A large model in a small memory: networks off the GPU while they rest, the VAE in slices and tiles, int8 weights."""

import logging
import warnings
from typing import Any

import torch
from diffusers.hooks.group_offloading import _is_group_offload_enabled, apply_group_offloading
from torch import nn

from diffaug.params.memory import MemoryParams
from diffaug.runtime.errors import UserError

_LARGE = ("unet", "transformer", "transformer_2", "text_encoder", "text_encoder_2", "text_encoder_3", "text_encoder_4")


def quantize(pipeline: Any, kind: str | None) -> None:
    """Store the weights of the linear layers of the denoiser and the text encoders in 8 bits, by torchao.

    Raises UserError if torchao is not installed.
    """
    if kind is None:
        return
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # it warns about torchao's own code
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError:
        raise UserError(
            "params.yaml: generate.memory.quantize: torchao is not installed; run `.venv/bin/pip install torchao`"
        ) from None
    for name in _LARGE:
        network = getattr(pipeline, name, None)
        if isinstance(network, nn.Module):
            with warnings.catch_warnings(action="ignore"):
                quantize_(network, Int8WeightOnlyConfig())


def place(pipeline: Any, memory: MemoryParams, device: torch.device) -> Any:
    """The pipeline on the device or, if a GPU is to hold only what works, with the hooks that move it there and back.

    A pipeline that shares its networks with another one must be placed too. On a CPU nothing can be moved away.
    """
    if memory.offload == "none" or device.type == "cpu":
        return pipeline.to(device)
    try:
        if memory.offload == "model":
            pipeline.enable_model_cpu_offload(device=device)
        else:
            offload_layers(pipeline, device)
    except ValueError as error:  # the library names what cannot be moved
        raise UserError(
            f"params.yaml: generate.memory.offload: {type(pipeline).__name__} cannot do {memory.offload} "
            f"({' '.join(str(error).split())[:200]}); set another"
        ) from None
    return pipeline


def offload_layers(pipeline: Any, device: torch.device) -> None:
    """Only the layer that computes is on the device; on CUDA the next one is copied meanwhile.

    The VAE, which is small, stays on the device: some decode in float32 although they are stored in float16. Networks
    that are shared with a pipeline that was placed before are left as they are.
    """
    stream = device.type == "cuda"
    for name, network in pipeline.components.items():
        if name == "vae":
            network.to(device)
        elif isinstance(network, nn.Module) and not _is_group_offload_enabled(network):
            apply_group_offloading(
                network, device, offload_type="leaf_level", use_stream=stream, low_cpu_mem_usage=stream
            )


def slice_vae(pipeline: Any, memory: MemoryParams, pixels: int) -> None:
    """Let the VAE work image by image, and in overlapping tiles, as the params say; `pixels`: of one batch."""
    vae = getattr(pipeline, "vae", None)
    for name, wanted in (("slicing", memory.slices(pixels)), ("tiling", memory.vae_tiling)):
        if hasattr(vae, f"use_{name}"):
            setattr(vae, f"use_{name}", wanted)
        elif wanted and (name == "tiling" or memory.vae_slicing is True):
            raise UserError(
                f"params.yaml: generate.memory.vae_{name}: {type(vae).__name__} has no {name}; set it to false"
            )
