"""A pipeline folder as one checkpoint file, in the layout of CompVis' latent diffusion that WebUI users have."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
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
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


_TEXT_ENDS = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "text_projection.weight": "text_projection",
}
_TEXT_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def save_checkpoint(folder: Path, file: Path) -> Path:
    """Write the pipeline in `folder` to one .safetensors file."""
    save_file(checkpoint_tensors(folder), file)
    return file


def checkpoint_tensors(folder: Path) -> dict[str, Tensor]:
    """The weights of the pipeline in `folder`, by their names in a checkpoint."""
    pipeline = DiffusionPipeline.from_pretrained(folder)
    return {key: value.contiguous() for key, value in named(pipeline.components).items()}


def named(parts: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a pipeline's networks by their names in a checkpoint: Stable Diffusion 1, 2 and XL.

    A second text encoder, and one whose activation is gelu, have the names of open_clip.
    """
    tensors: dict[str, Tensor] = unet_tensors(parts["unet"])
    tensors |= {f"first_stage_model.{name}": value for name, value in vae_tensors(parts["vae"]).items()}
    first, second = parts["text_encoder"], parts.get("text_encoder_2")
    if second is not None:
        tensors |= _clip("conditioner.embedders.0.transformer.", first)
        tensors |= _open_clip("conditioner.embedders.1.model.", second)
    elif first.config.hidden_act == "gelu":
        tensors |= _open_clip("cond_stage_model.model.", first)
    else:
        tensors |= _clip("cond_stage_model.transformer.", first)
    return tensors


def unet_tensors(unet: Any) -> dict[str, Tensor]:
    """A U-Net's weights."""
    weights, layers = unet.state_dict(), unet.config.layers_per_block + 1
    drawn = {match[0] for key in weights if (match := re.match(r"up_blocks\.\d\.attentions", key))}
    return {f"model.diffusion_model.{_unet(key, layers, drawn)}": value for key, value in weights.items()}


def controlnet_tensors(network: Any) -> dict[str, Tensor]:
    """A ControlNet's weights by their names in WebUI's files."""
    layers, tensors = network.config.layers_per_block + 1, {}
    for key, value in network.state_dict().items():
        if match := re.match(r"controlnet_down_blocks\.(\d+)\.(.*)", key):
            name = f"zero_convs.{match[1]}.0.{match[2]}"
        elif key.startswith("controlnet_mid_block."):
            name = key.replace("controlnet_mid_block", "middle_block_out.0")
        elif match := re.match(r"controlnet_cond_embedding\.(conv_in|conv_out|blocks)\.(.*)", key):
            number, _, end = match[2].rpartition(".")
            place = {"conv_in": 0, "conv_out": 14}.get(match[1], 2 * int(number or 0) + 2)
            name = f"input_hint_block.{place}.{end}"
        else:
            name = _unet(key, layers, set())
        tensors[f"control_model.{name}"] = value
    return tensors


def vae_tensors(vae: Any) -> dict[str, Tensor]:
    """A VAE's weights, named as in a file of a VAE alone."""
    levels, tensors = len(vae.config.block_out_channels), {}
    for key, value in vae.state_dict().items():
        name = _vae(key, levels)
        is_projection = ".attn_1." in name and ".norm." not in name and name.endswith("weight")
        tensors[name] = value[..., None, None] if is_projection else value
    return tensors


def _clip(prefix: str, encoder: Any) -> dict[str, Tensor]:
    return {
        f"{prefix}{key if key.startswith('text_model.') else f'text_model.{key}'}": value
        for key, value in encoder.state_dict().items()
    }


def _open_clip(prefix: str, encoder: Any) -> dict[str, Tensor]:
    tensors, weights = {}, {key.removeprefix("text_model."): value for key, value in encoder.state_dict().items()}
    for key, value in weights.items():
        if key in _TEXT_ENDS:
            tensors[_TEXT_ENDS[key]] = value.T if key.startswith("text_projection") else value
        elif key.startswith("final_layer_norm"):
            tensors[key.replace("final_layer_norm", "ln_final")] = value
        elif match := re.match(r"encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", key):
            layer, name, end = match.groups()
            if name in _TEXT_LAYER:
                tensors[f"transformer.resblocks.{layer}.{_TEXT_LAYER[name]}.{end}"] = value
            elif name == "self_attn.q_proj":
                three = [weights[key.replace("q_proj", f"{one}_proj")] for one in "qkv"]
                tensors[f"transformer.resblocks.{layer}.attn.in_proj_{end}"] = torch.cat(three)
    return {f"{prefix}{name}": value for name, value in tensors.items()}


def _unet(key: str, layers: int, drawn: set[str]) -> str:
    """drawn: the upper blocks that have attentions."""
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
        behind = 2 if f"up_blocks.{block}.attentions" in drawn else 1
        return f"output_blocks.{layers * block + layers - 1}.{behind}.{rest}"
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
