"""A pipeline folder as one checkpoint file, in the layout of CompVis' latent diffusion that WebUI users have."""

import re
from pathlib import Path

from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file
from torch import Tensor

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def save_checkpoint(folder: Path, file: Path) -> Path:
    """Write the pipeline in `folder` to one .safetensors file."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    layers = pipeline.unet.config.layers_per_block + 1
    levels = len(pipeline.vae.config.block_out_channels)
    tensors: dict[str, Tensor] = {}
    for key, value in pipeline.unet.state_dict().items():
        tensors[f"model.diffusion_model.{_unet(key, layers)}"] = value
    for key, value in pipeline.vae.state_dict().items():
        name = _vae(key, levels)
        is_projection = ".attn_1." in name and ".norm." not in name and name.endswith("weight")
        tensors[f"first_stage_model.{name}"] = value[..., None, None] if is_projection else value
    for key, value in pipeline.text_encoder.state_dict().items():
        name = key if key.startswith("text_model.") else f"text_model.{key}"
        tensors[f"cond_stage_model.transformer.{name}"] = value
    save_file({key: value.contiguous() for key, value in tensors.items()}, file)
    return file


def _unet(key: str, layers: int) -> str:
    for old, new in _UNET_ENDS.items():
        if key.startswith(f"{old}."):
            return key.replace(old, new, 1)
    if match := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", key):
        place = {"resnets": 2 * int(match[2]), "attentions": 1}[match[1]]
        return f"middle_block.{place}.{_inner(match[3]) if match[1] == 'resnets' else match[3]}"
    match = re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", key)
    assert match, key
    side, block, kind, number, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    if kind == "downsamplers":
        return f"input_blocks.{layers * (block + 1)}.0.{rest.replace('conv', 'op', 1)}"
    if kind == "upsamplers":
        return f"output_blocks.{layers * block + layers - 1}.2.{rest}"
    place = layers * block + number
    name = f"input_blocks.{place + 1}" if side == "down" else f"output_blocks.{place}"
    return f"{name}.0.{_inner(rest)}" if kind == "resnets" else f"{name}.1.{rest}"


def _inner(rest: str) -> str:
    name, _, end = rest.partition(".")
    return f"{_RESNET[name]}.{end}"


def _vae(key: str, levels: int) -> str:
    key = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", key)
    key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", key)
    key = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{levels - 1 - int(m[1])}.block.{m[2]}", key)
    key = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", key)
    key = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", key)
    if "mid_block.attentions.0." in key:
        key = key.replace("mid_block.attentions.0.", "mid.attn_1.")
        for old, new in _VAE_ATTENTION.items():
            key = key.replace(f".{old}.", f".{new}.")
    return key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
