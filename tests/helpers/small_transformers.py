"""Complete diffusion transformers of real parts with small random weights, as small_models.py has U-Nets."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from small_models import CAPTIONS
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from diffaug.generator_training.parts import build_tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# What Qwen3's own template makes of one message, where nothing is to be thought about.
QWEN3_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


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
    tokenizer = _qwen_tokenizer("<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
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


def z_image(folder: Path) -> Path:
    """The shape of Z-Image: a Qwen3 reads the text as a chat, and its captions keep their own lengths."""
    torch.manual_seed(6)
    tokenizer = _qwen_tokenizer(chat_template=QWEN3_CHAT)
    transformer = ZImageTransformer2DModel(
        **{"in_channels": 4, "dim": 16, "n_layers": 1, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2},
        **{"cap_feat_dim": 16, "axes_dims": [4, 2, 2], "axes_lens": [600, 64, 64]},
    )
    ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=AutoencoderKL(
            block_out_channels=[8, 8],
            down_block_types=["DownEncoderBlock2D"] * 2,
            up_block_types=["UpDecoderBlock2D"] * 2,
            norm_num_groups=4,
            latent_channels=4,
            shift_factor=0.1,
            scaling_factor=1.5,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=Qwen3Model(_qwen3(tokenizer, layers=2)).eval(),
        tokenizer=tokenizer,
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def flux2_klein(folder: Path, distilled: bool = True) -> Path:
    """The shape of FLUX.2 [klein]: it draws from texts and takes images as references, without a strength."""
    torch.manual_seed(7)
    tokenizer = _qwen_tokenizer(chat_template=QWEN3_CHAT)
    Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLFlux2(
            block_out_channels=[8, 8],
            down_block_types=["DownEncoderBlock2D"] * 2,
            up_block_types=["UpDecoderBlock2D"] * 2,
            norm_num_groups=4,
            latent_channels=4,
            layers_per_block=1,
        ),
        text_encoder=Qwen3ForCausalLM(_qwen3(tokenizer, layers=28)).eval(),  # layers 9, 18 and 27 are read
        tokenizer=tokenizer,
        transformer=Flux2Transformer2DModel(
            **{"in_channels": 16, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16},
            **{"num_attention_heads": 2, "joint_attention_dim": 48, "axes_dims_rope": (4, 4, 4, 4)},
            guidance_embeds=False,
        ),
        is_distilled=distilled,
    ).save_pretrained(folder)
    return folder


def flux2_klein_base(folder: Path) -> Path:
    """The same before it was distilled: guidance works."""
    return flux2_klein(folder, distilled=False)


def _qwen_tokenizer(*more: str, chat_template: str | None = None) -> Qwen2Tokenizer:
    """Qwen's, whose tokens are single bytes and its special ones."""
    letters = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *more]
    return Qwen2Tokenizer(vocab=letters, merges=[], extra_special_tokens=special, chat_template=chat_template)


def _qwen3(tokenizer: Qwen2Tokenizer, layers: int) -> Qwen3Config:
    return Qwen3Config(
        **{"vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": layers},
        **{"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8},
    )
