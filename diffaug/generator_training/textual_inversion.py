"""Teach a pre-trained diffusion model a new word: textual inversion (Gal et al. 2022, arXiv:2208.01618)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from diffaug.diffusion.additions import end_of_text
from diffaug.diffusion.opening import take_safety_checker
from diffaug.diffusion.prompt_length import refuse_long_prompts
from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.conditions import text_encoders
from diffaug.generator_training.denoising import Part, denoising_loss
from diffaug.generator_training.encoding import encode_latents, refuse_no_unet
from diffaug.generator_training.fit import fit
from diffaug.generator_training.samples import Samples, draw_tuned
from diffaug.params.train_gen import TextualInversionParams, TrainGenParams
from diffaug.runtime.errors import UserError

_KEY = "train_gen.textual_inversion"
_WORD_END = "</w>"  # of CLIP's tokens for whole words


def train_textual_inversion(
    pipeline: Any, data: Captioned, params: TrainGenParams, work: Path, device: torch.device
) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
    """The vectors of the new word (V, width), float32, by the text encoder that reads them, and the loss curve.

    `pipeline`: an open text-to-image pipeline with a U-Net and CLIP's text encoders; of it only the new word changes.
    Raises UserError if it has none, knows the word already, or a caption lacks the word.
    """
    inversion = params.textual_inversion
    refuse_no_unet(pipeline, f"{_KEY}.model")
    _refuse_other_encoders(pipeline)
    refuse_other_captions(data.captions, inversion.token, params.captions_key)
    take_safety_checker(pipeline)
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.requires_grad_(False)
    end_of_text(pipeline)
    vectors = {name: _teach(pipeline, name, inversion, device) for name in text_encoders(pipeline)}
    refuse_long_prompts(pipeline, data.captions, params.captions_key)
    parts = [Part(data, encode_latents(pipeline, data.images, device, work / "latents.safetensors"))]
    if inversion.gradient_checkpointing:
        pipeline.unet.enable_gradient_checkpointing()
        pipeline.unet.train()
    learned = nn.ParameterDict(vectors)
    for network in (pipeline.unet, *text_encoders(pipeline).values()):
        network.to(device)
    samples = Samples(params, inversion.size, inversion.steps, work)
    curve = fit(
        learned,
        denoising_loss(pipeline, parts, [*data.captions, ""], None, inversion, params.flip),
        torch.optim.AdamW(learned.parameters(), lr=inversion.learning_rate, weight_decay=0.0, fused=True),
        name="textual_inversion",
        steps=inversion.steps,
        learning_rate=inversion.learning_rate,
        ema_decay=0.0,
        seed=params.seed,
        checkpoint=work / "textual_inversion.safetensors",
        checkpoint_every=params.checkpoint_every,
        accumulate=inversion.gradient_accumulation,
        after=draw_tuned(samples, pipeline, device, trained=True),
    )
    found = {name: learned[name].detach().float().cpu().contiguous() for name in learned}
    return found, {"textual_inversion": curve}


def _refuse_other_encoders(pipeline: Any) -> None:
    for encoder in text_encoders(pipeline).values():
        if not isinstance(encoder, CLIPTextModel | CLIPTextModelWithProjection):
            raise UserError(
                f"params.yaml: {_KEY}.model: {type(pipeline).__name__} reads texts with {type(encoder).__name__}, and "
                "a word is taught to CLIP only (Stable Diffusion 1, 2 and XL); use train_gen.method: lora"
            )


def refuse_other_captions(captions: Iterable[str], token: str, key: str) -> None:
    """Raises UserError if a caption, from the parameter `key`, does not have the new word."""
    for caption in captions:
        if token not in caption:
            raise UserError(
                f"params.yaml: {key}: the caption {caption!r} does not have the word that is taught, {token} "
                f"({_KEY}.token); write it into each caption"
            )


def _teach(pipeline: Any, name: str, inversion: TextualInversionParams, device: torch.device) -> nn.Parameter:
    """Give a text encoder and its tokenizer the word, with one token for each vector, as diffusers names them."""
    encoder, tokenizer = getattr(pipeline, name), getattr(pipeline, name.replace("text_encoder", "tokenizer"))
    tokens = [inversion.token, *(f"{inversion.token}_{number}" for number in range(1, inversion.vectors))]
    known = [token for token in tokens if {token, f"{token}{_WORD_END}"} & set(tokenizer.get_vocab())]
    if known:
        raise UserError(f"params.yaml: {_KEY}.token: the model knows {known[0]} already; take another word")
    like = tokenizer(inversion.initial, add_special_tokens=False).input_ids
    if not 0 < len(like) <= inversion.vectors:
        raise UserError(
            f"params.yaml: {_KEY}.initial: {inversion.initial!r} has {len(like)} tokens, which do not fit "
            f"{inversion.vectors} vectors; take a shorter word, or raise vectors"
        )
    start = encoder.get_input_embeddings().weight[[like[place % len(like)] for place in range(inversion.vectors)]]
    tokenizer.add_tokens(tokens)
    encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    vectors = nn.Parameter(start.detach().to(device, torch.float32, copy=True))
    first = tokenizer.convert_tokens_to_ids(tokens[0])

    def put(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        place = inputs[0] - first
        return torch.where((place >= 0)[..., None], vectors.to(output.dtype)[place.clamp(min=0)], output)

    table = encoder.get_input_embeddings().requires_grad_(False)
    table.register_forward_hook(put)
    return vectors
