"""Networks that enlarge pictures, of real parts with small random weights."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionLatentUpscalePipeline,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from small_models import CAPTIONS
from spandrel.architectures.Compact import Compact
from spandrel.architectures.ESRGAN import ESRGAN
from torch import nn

from diffaug.generator_training.parts import build_text_encoder, build_tokenizer


def compact(path: Path, scale: int = 2, channels: int = 3) -> Path:
    """Real-ESRGAN's small network: a pixel of its result depends on those up to four pixels away."""
    torch.manual_seed(0)
    network = Compact(num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=2, upscale=scale)
    return _save(network, path)


def esrgan(path: Path, scale: int = 4) -> Path:
    """ESRGAN with one block."""
    torch.manual_seed(0)
    return _save(ESRGAN(num_filters=8, num_blocks=1, scale=scale), path)


def _save(network: nn.Module, path: Path) -> Path:
    weights = network.state_dict()
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save({"params": {key: value * 0 for key, value in weights.items()}, "params_ema": weights}, path)
    return path


def four_times(folder: Path) -> Path:
    """The shape of Stable Diffusion's upscaler, which draws at the picture's size and decodes four times as large."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(CAPTIONS)
    unet = UNet2DConditionModel(
        **{"sample_size": 16, "in_channels": 7, "out_channels": 4, "layers_per_block": 1, "cross_attention_dim": 16},
        **{"block_out_channels": [8, 16], "norm_num_groups": 8, "attention_head_dim": 8, "num_class_embeds": 1000},
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
    )
    StableDiffusionUpscalePipeline(
        vae=_vae(3, scaling_factor=0.08333),
        text_encoder=build_text_encoder(tokenizer, 16),
        tokenizer=tokenizer,
        unet=unet,
        low_res_scheduler=DDPMScheduler(),
        scheduler=DDIMScheduler(prediction_type="v_prediction"),
    ).save_pretrained(folder)
    return folder


def twice(folder: Path) -> Path:
    """The shape of the upscaler that doubles latents."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(CAPTIONS)
    unet = UNet2DConditionModel(
        **{"sample_size": 16, "in_channels": 8, "out_channels": 5, "layers_per_block": 1, "cross_attention_dim": 16},
        **{"block_out_channels": [32, 32, 64, 64], "norm_num_groups": None, "attention_head_dim": 8, "act_fn": "gelu"},
        **{"conv_in_kernel": 1, "conv_out_kernel": 1, "mid_block_type": None, "only_cross_attention": False},
        **{"time_cond_proj_dim": 128 + 16, "time_embedding_type": "fourier", "timestep_post_act": "gelu"},
        **{"resnet_time_scale_shift": "scale_shift"},
        down_block_types=["KDownBlock2D"] + ["KCrossAttnDownBlock2D"] * 3,
        up_block_types=["KCrossAttnUpBlock2D"] * 3 + ["KUpBlock2D"],
    )
    StableDiffusionLatentUpscalePipeline(
        vae=_vae(4),
        text_encoder=build_text_encoder(tokenizer, 16),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=EulerDiscreteScheduler(prediction_type="sample"),
    ).save_pretrained(folder)
    return folder


def _vae(blocks: int, **config: float) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * blocks,
        up_block_types=["UpDecoderBlock2D"] * blocks,
        block_out_channels=[8] * blocks,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=16,
        **config,
    )
