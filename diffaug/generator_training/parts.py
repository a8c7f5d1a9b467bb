"""The parts of a small Stable Diffusion: VAE, U-Net with cross-attention, CLIP text encoder, tokenizer, scheduler."""

import json
from collections.abc import Sequence

from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

TEXT_LENGTH = 24  # tokens to which a caption is padded; "a photo of a {class}" takes 7 to 10
VAE_FACTOR = 4  # pixels per latent cell along one side
_START, _END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer(captions: Sequence[str]) -> CLIPTokenizer:
    """A CLIP tokenizer whose byte-pair merges are learned from the captions; other words fall back to bytes.

    Byte-level pairs with an end-of-word mark, as in CLIP (Radford et al. 2021, arXiv:2103.00020).
    """
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    words = sorted({word for caption in captions for word in caption.split()})
    # Among equally frequent pairs, the trainer merges the one with the lowest numbers first. It numbers the last
    # letters of words in the order of a hash table, which differs between processes, so they get their numbers here.
    last_letters = [f"{letter}</w>" for letter in sorted(alphabet)]
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        initial_alphabet=sorted(alphabet),
        special_tokens=last_letters,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    bpe.train_from_iterator(words, trainer)
    learned = bpe.get_vocab()
    tokens = sorted(alphabet) + last_letters
    tokens += sorted(set(learned) - set(tokens), key=lambda token: (learned[token], token))
    vocab = {token: number for number, token in enumerate([*tokens, _START, _END])}
    merges = [tuple(pair) for pair in _merges(bpe)]
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=TEXT_LENGTH)


def _merges(bpe: Tokenizer) -> list[list[str]]:
    merges = json.loads(bpe.to_str())["model"]["merges"]
    return [pair.split(" ") if isinstance(pair, str) else list(pair) for pair in merges]


def build_text_encoder(tokenizer: CLIPTokenizer, width: int) -> CLIPTextModel:
    """A two-layer CLIP text encoder with random weights and hidden size `width`."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=4 * width,
            projection_dim=width,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TEXT_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_vae(size: int, channels: Sequence[int], latent_channels: int) -> AutoencoderKL:
    """A KL autoencoder (RGB in [-1, 1]) to a latent that is four times smaller along each side."""
    if len(channels) != 3:
        raise ValueError(f"a VAE with factor {VAE_FACTOR} has 3 levels, but {len(channels)} channel counts were given")
    return AutoencoderKL(
        sample_size=size,
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=list(channels),
        latent_channels=latent_channels,
        layers_per_block=1,
        norm_num_groups=8,
    )


def build_unet(size: int, channels: Sequence[int], latent_channels: int, text_width: int) -> UNet2DConditionModel:
    """A U-Net over the latent; its lowest level and its middle attend to the text and to themselves: attention at full
    size takes as much time as all else there, and the loss was no lower for it (docs/generator.md)."""
    plain = len(channels) - 1
    return UNet2DConditionModel(
        sample_size=size // VAE_FACTOR,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=["DownBlock2D"] * plain + ["CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D"] + ["UpBlock2D"] * plain,
        block_out_channels=list(channels),
        layers_per_block=2,
        attention_head_dim=4,
        norm_num_groups=8,
        cross_attention_dim=text_width,
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule: 1,000 steps, scaled linear betas. The network predicts the velocity (Salimans
    and Ho 2022, arXiv:2202.00512), as in Stable Diffusion 2."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def assemble(
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
) -> StableDiffusionPipeline:
    """The parts as one pipeline, without a safety checker (it would return black images) and without a watermark."""
    return StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
