"""The layers that a LoRA changes, and what its trainers call them."""

from collections.abc import Iterator
from typing import Any

import torch
from ldm import unet_tensors
from torch import Tensor, nn

PARTS = ("unet", "transformer", "text_encoder", "text_encoder_2")
KINDS = (
    *("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"),
    *("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
)
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj")


def layers(pipeline: Any, *kinds: str) -> Iterator[tuple[str, str, nn.Module]]:
    """The part, the name and the module of each layer that such a LoRA changes."""
    for part in PARTS:
        for name, module in getattr(pipeline, part, nn.Module()).named_modules():
            if name.endswith(kinds):
                yield part, name, module


def matrices(module: Any, rank: int) -> tuple[Tensor, Tensor]:
    """Two random matrices for a layer, as trainers shape them."""
    out, into, *size = module.weight.shape
    return torch.randn(rank, into, *size) / 4, torch.randn(out, rank, *[1 for _ in size]) / 4


def kohya(part: str, name: str, pipeline: Any) -> str:
    """kohya's names for Stable Diffusion 1, which are also ai-toolkit's for it and for SDXL."""
    if part == "unet":
        return "lora_unet_" + name.replace(".", "_")
    number = {"text_encoder": "1", "text_encoder_2": "2"}[part] if hasattr(pipeline, "text_encoder_2") else ""
    return f"lora_te{number}_" + f"text_model.{name.removeprefix('text_model.')}".replace(".", "_")


def flat_kohya(part: str, name: str, pipeline: Any) -> str:
    """The same from a trainer with transformers 5, whose text encoder has no `text_model`."""
    return kohya(part, name, pipeline).replace("_text_model_", "_")


def kohya_sdxl(part: str, name: str, pipeline: Any) -> str:
    """kohya's names for SDXL: the U-Net's are those of a checkpoint."""
    if part != "unet":
        return kohya(part, name, pipeline)
    own = dict(zip(pipeline.unet.state_dict(), unet_tensors(pipeline.unet)))[f"{name}.weight"]
    return "lora_unet_" + own.removeprefix("model.diffusion_model.").removesuffix(".weight").replace(".", "_")


def diffusers(part: str, name: str, pipeline: Any) -> str:
    """The names of diffusers; also ai-toolkit's for diffusion transformers."""
    return f"{part}.{name}"


def old_diffusers(part: str, name: str, pipeline: Any) -> str:
    """The names before transformers 5 took `text_model` out of CLIP's text encoder."""
    return f"{part}.{name}" if "encoder" not in part else f"{part}.text_model.{name.removeprefix('text_model.')}"


def diffsynth(part: str, name: str, pipeline: Any) -> str | None:
    """DiffSynth-Studio's names: the network that was trained is not named."""
    return name if part in ("unet", "transformer") else None
