"""Complete diffusion transformers of real parts with small random weights, as small_models.py has U-Nets."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from small_models import CAPTIONS
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from diffaug.generator_training.parts import build_tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def flux(folder: Path) -> Path:
    """The shape of FLUX.1 [schnell]: a distilled flow, so that guidance_scale does nothing."""
    torch.manual_seed(4)
    clip = build_tokenizer(CAPTIONS)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), *((letter, -3.0) for letter in LETTERS)]
    t5 = T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=48)
    FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                **{"vocab_size": len(clip), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2},
                **{"num_attention_heads": 2, "max_position_embeddings": clip.model_max_length},
                **{"bos_token_id": clip.bos_token_id, "eos_token_id": clip.eos_token_id},
            )
        ),
        tokenizer=clip,
        text_encoder_2=T5EncoderModel(
            T5Config(vocab_size=len(t5), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        ),
        tokenizer_2=t5,
        transformer=FluxTransformer2DModel(
            **{"patch_size": 1, "in_channels": 16, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16},
            **{"num_attention_heads": 2, "joint_attention_dim": 32, "pooled_projection_dim": 32},
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=False,
        ),
        vae=AutoencoderKL(
            block_out_channels=[8, 8],
            down_block_types=["DownEncoderBlock2D"] * 2,
            up_block_types=["UpDecoderBlock2D"] * 2,
            norm_num_groups=4,
            latent_channels=4,
            shift_factor=0.1,
            scaling_factor=1.5,
        ),
    ).save_pretrained(folder)
    return folder


def qwen_image(folder: Path) -> Path:
    """The shape of Qwen-Image: guidance is true_cfg_scale, and works only with a negative prompt."""
    torch.manual_seed(5)
    letters = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
    tokenizer = Qwen2Tokenizer(vocab=letters, merges=[], extra_special_tokens=list(special))
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 10000.0}
    config = Qwen2_5_VLConfig(
        text_config=text
        | {"num_key_value_heads": 2, "vocab_size": len(tokenizer), "rope_parameters": rope, "bos_token_id": 0}
        | {"eos_token_id": 0, "pad_token_id": 0},
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16},
    )
    QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLQwenImage(
            **{"base_dim": 24, "z_dim": 4, "dim_mult": [1, 2, 4], "num_res_blocks": 1},
            **{"temperal_downsample": [False, True], "latents_mean": [0.0] * 4, "latents_std": [1.0] * 4},
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=tokenizer,
        transformer=QwenImageTransformer2DModel(
            **{"patch_size": 2, "in_channels": 16, "out_channels": 4, "num_layers": 1, "attention_head_dim": 16},
            **{"num_attention_heads": 2, "joint_attention_dim": 16, "axes_dims_rope": (8, 4, 4)},
        ),
    ).save_pretrained(folder)
    return folder
