"""Complete diffusion models of real parts with small random weights, saved as folders in the hub's layout."""

import io
import json
from pathlib import Path

import sentencepiece
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    ControlNetModel,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    KolorsPipeline,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig, ChatGLMModel
from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from diffaug.generator_training.parts import (
    TEXT_LENGTH,
    assemble,
    build_text_encoder,
    build_tokenizer,
    build_unet,
    build_vae,
)

CAPTIONS = ["a photo of a cat", "a photo of a dog"]


def stable_diffusion(folder: Path, latent_channels: int = 4) -> Path:
    """The shape of Stable Diffusion 1.x, at 16 x 16 pixels."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(CAPTIONS)
    pipeline = assemble(
        build_vae(16, [8, 8, 8], latent_channels),
        build_unet(16, [8, 16], latent_channels, 16),
        build_text_encoder(tokenizer, 16),
        tokenizer,
    )
    pipeline.save_pretrained(folder)
    return folder


def sdxl(folder: Path, second: int = 16) -> Path:
    """The shape of Stable Diffusion XL: two text encoders, a pooled text and the image's size as conditions.
    second: the width of the second text encoder."""
    torch.manual_seed(1)
    tokenizer = build_tokenizer(CAPTIONS)
    StableDiffusionXLPipeline(
        vae=_vae(),
        unet=_unet(16 + second),
        text_encoder=CLIPTextModel(_text(tokenizer)),
        text_encoder_2=CLIPTextModelWithProjection(_text(tokenizer, second)),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        scheduler=EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
    ).save_pretrained(folder)
    return folder


def kolors(folder: Path) -> Path:
    """The shape of Kolors: SDXL's U-Net, whose only text encoder is a ChatGLM, and 1,100 steps of noise."""
    torch.manual_seed(6)
    pieces = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        **{"sentence_iterator": iter(CAPTIONS), "model_writer": pieces, "vocab_size": 64, "hard_vocab_limit": False},
        **{"byte_fallback": False, "minloglevel": 2},
    )
    folder.mkdir(parents=True)
    (folder / "tokenizer.model").write_bytes(pieces.getvalue())
    tokenizer = ChatGLMTokenizer(str(folder / "tokenizer.model"))
    config = ChatGLMConfig(
        **{"num_layers": 2, "padded_vocab_size": tokenizer.vocab_size, "hidden_size": 32, "ffn_hidden_size": 16},
        **{"kv_channels": 8, "num_attention_heads": 2, "seq_length": 256, "add_qkv_bias": True, "use_cache": True},
        **{"multi_query_attention": True, "multi_query_group_num": 1, "original_rope": True},
    )
    text_encoder = ChatGLMModel(config, empty_init=False)
    for value in text_encoder.parameters():  # the class leaves some of them as the memory was
        torch.nn.init.normal_(value, mean=1.0 if value.ndim == 1 else 0.0, std=0.2)
    KolorsPipeline(
        vae=_vae(),
        unet=_unet(16, pooled=32, encoder_hid_dim=32, encoder_hid_dim_type="text_proj"),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=EulerDiscreteScheduler(
            **{"beta_start": 0.00085, "beta_end": 0.014, "beta_schedule": "scaled_linear", "steps_offset": 1},
            **{"num_train_timesteps": 1100, "timestep_spacing": "leading"},
        ),
    ).save_pretrained(folder)
    return folder


def sd3(folder: Path) -> Path:
    """The shape of Stable Diffusion 3: a diffusion transformer trained by flow matching; its T5 is optional."""
    torch.manual_seed(2)
    tokenizer = build_tokenizer(CAPTIONS)
    StableDiffusion3Pipeline(
        vae=_vae(16, shift_factor=0.1),
        transformer=SD3Transformer2DModel(
            sample_size=4,
            patch_size=1,
            in_channels=16,
            out_channels=16,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            caption_projection_dim=16,
            joint_attention_dim=32,
            pooled_projection_dim=32,
        ),
        text_encoder=CLIPTextModelWithProjection(_text(tokenizer)),
        text_encoder_2=CLIPTextModelWithProjection(_text(tokenizer)),
        text_encoder_3=None,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        tokenizer_3=None,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"text_encoder_3": [None, None], "tokenizer_3": [None, None]}  # as in the hub's models without T5
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def controlnet(folder: Path, model: Path) -> Path:
    """A ControlNet for a saved model's U-Net; its last layers are random too, so that it changes the image."""
    torch.manual_seed(3)
    unet = UNet2DConditionModel.from_pretrained(model / "unet")
    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 8))
    for layer in [*network.controlnet_down_blocks, network.controlnet_mid_block]:
        torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(network.controlnet_cond_embedding.conv_out.weight)
    network.save_pretrained(folder)
    return folder


def tiny_vae(folder: Path) -> Path:
    """The shape of TAESD for a model whose latent is four times smaller than the image."""
    torch.manual_seed(4)
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
    ).save_pretrained(folder)
    return folder


def _unet(text_width: int, pooled: int = 16, **config: object) -> UNet2DConditionModel:
    """SDXL's: it takes a pooled text of width `pooled` and the image's size beside the text."""
    return UNet2DConditionModel(
        sample_size=4,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
        block_out_channels=[8, 16],
        layers_per_block=1,
        attention_head_dim=[2, 4],
        norm_num_groups=8,
        cross_attention_dim=text_width,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=pooled + 6 * 8,
        transformer_layers_per_block=[1, 1],
        **config,
    )


def _vae(latent_channels: int = 4, **config: float) -> AutoencoderKL:
    return AutoencoderKL(
        sample_size=16,
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[8, 8, 8],
        latent_channels=latent_channels,
        layers_per_block=1,
        norm_num_groups=8,
        **config,
    )


def _text(tokenizer: CLIPTokenizer, width: int = 16) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=32,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TEXT_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def clip(folder: Path) -> Path:
    """CLIP's two towers, for images of 32 x 32 pixels; unit vectors of 16 numbers."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(CAPTIONS)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=TEXT_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **small,
    )
    vision = CLIPVisionConfig(image_size=32, patch_size=8, **small)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
    CLIPModel(config).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def aesthetic_predictor(folder: Path) -> Path:
    """CLIP and a head in one folder, whose score is 10 times the sum of the vector's numbers, and 5."""
    clip(folder)
    weights = load_file(folder / "model.safetensors")
    for number in (0, 2, 4, 6, 7):
        width = 16 if number == 0 else 1
        weights[f"layers.{number}.weight"] = torch.full((1, width), 10.0 if number == 0 else 1.0)
        weights[f"layers.{number}.bias"] = torch.tensor([5.0 if number == 7 else 0.0])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def small_lora(pipeline: Path, file: Path) -> Path:
    """A LoRA of rank 2 for every query of the U-Net's self-attention."""
    unet = load_file(pipeline / "unet/diffusion_pytorch_model.safetensors")
    found = {}
    for name, value in unet.items():
        if name.endswith("attn1.to_q.weight"):
            base = f"unet.{name.removesuffix('.weight')}"
            found[f"{base}.lora_A.weight"] = torch.randn(2, value.shape[1])
            found[f"{base}.lora_B.weight"] = torch.randn(value.shape[0], 2)
    save_file(found, file)
    return file
