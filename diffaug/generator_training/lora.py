"""Fine-tune a pre-trained diffusion model on captioned images by LoRA (Hu et al. 2021, arXiv:2106.09685)."""

from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import cast_training_params
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict
from torch import Tensor, nn

from diffaug.diffusion.opening import take_safety_checker
from diffaug.diffusion.prompt_length import refuse_long_prompts
from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.conditions import fixed_conditions, text_encoders
from diffaug.generator_training.denoising import Part, denoising_loss
from diffaug.generator_training.encoding import encode_latents, refuse_no_unet
from diffaug.generator_training.fit import fit
from diffaug.generator_training.optimizer import make_optimizer, refuse_optimizer
from diffaug.generator_training.prior import draw_prior
from diffaug.generator_training.samples import Samples, draw_tuned
from diffaug.params.train_gen import LoraParams, TrainGenParams
from diffaug.runtime.errors import UserError

_ATTENTION = ["to_k", "to_q", "to_v", "to_out.0"]  # as in diffusers' own training examples
_TEXT_ATTENTION = ["q_proj", "k_proj", "v_proj", "out_proj"]


def train_lora(
    pipeline: Any, data: Captioned, params: TrainGenParams, work: Path, device: torch.device
) -> tuple[dict[str, dict[str, Tensor]], dict[str, list[float]]]:
    """LoRA weights by the part to which they belong ("unet", "text_encoder", ...), scaled by alpha, and the loss curve.

    `pipeline`: an open text-to-image pipeline with a U-Net; it is changed. Raises UserError if it has none, or if its
    text encoder is to be trained and is a language model.
    """
    lora = params.lora
    refuse_no_unet(pipeline, "train_gen.lora.model")
    if lora.text_encoder:
        refuse_language_models(pipeline)
    refuse_optimizer(lora, device)
    refuse_long_prompts(pipeline, data.captions, params.captions_key)
    take_safety_checker(pipeline)
    parts = [Part(data, encode_latents(pipeline, data.images, device, work / "latents.safetensors"))]
    captions = [*data.captions]
    if lora.prior is not None:
        prior = draw_prior(pipeline, data, params, work / "prior", device)
        pipeline.to("cpu")
        latents = encode_latents(pipeline, prior.images, device, work / "prior.safetensors")
        parts.append(Part(prior, latents, lora.prior.weight, len(captions)))
        captions += prior.captions
    captions.append("")
    fixed = None if lora.text_encoder else fixed_conditions(pipeline, captions, lora.size, device)
    adapted = add_adapters(pipeline, lora, params.seed)
    for network in adapted.values():
        network.to(device)
    trained = nn.ParameterList([p for network in adapted.values() for p in network.parameters() if p.requires_grad])
    samples = Samples(params, lora.size, lora.steps, work)
    curve = fit(
        trained,
        denoising_loss(pipeline, parts, captions, fixed, lora, params.flip, lora.caption_dropout),
        make_optimizer(trained.parameters(), lora),
        name="lora",
        steps=lora.steps,
        learning_rate=lora.learning_rate,
        ema_decay=0.0,
        seed=params.seed,
        checkpoint=work / "lora.safetensors",
        checkpoint_every=params.checkpoint_every,
        accumulate=lora.gradient_accumulation,
        after=draw_tuned(samples, pipeline, device, lora.text_encoder),
    )
    return {name: _weights(network, lora) for name, network in adapted.items()}, {"lora": curve}


def refuse_language_models(pipeline: Any) -> None:
    """Raises UserError if a text encoder lacks CLIP's layers, to which the LoRA would be added."""
    for encoder in text_encoders(pipeline).values():
        ends = {name.rpartition(".")[2] for name, _ in encoder.named_modules()}
        if not ends >= set(_TEXT_ATTENTION):
            raise UserError(
                f"params.yaml: train_gen.lora.text_encoder: found true, but that of {type(pipeline).__name__} is the "
                f"language model {type(encoder).__name__}, and only CLIP's is trained; set it to false"
            )


def add_adapters(pipeline: Any, lora: LoraParams, seed: int) -> dict[str, nn.Module]:
    """Freeze the pipeline and add trainable LoRA layers to its U-Net and, if set, its text encoders."""
    torch.manual_seed(seed)
    networks = {"unet": pipeline.unet}
    if lora.text_encoder:
        networks |= text_encoders(pipeline)
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.requires_grad_(False)
    for name, network in networks.items():
        targets = _ATTENTION if name == "unet" else _TEXT_ATTENTION
        network.add_adapter(
            LoraConfig(r=lora.rank, lora_alpha=lora.alpha, init_lora_weights="gaussian", target_modules=targets)
        )
        if lora.gradient_checkpointing:
            enable = getattr(network, "enable_gradient_checkpointing", None) or network.gradient_checkpointing_enable
            enable()
            network.train()
    cast_training_params(list(networks.values()), dtype=torch.float32)
    return networks


def _weights(network: nn.Module, lora: LoraParams) -> dict[str, Tensor]:
    """The trained layers by the names under which diffusers saves them. They are already scaled by alpha, so that any
    loader's default alpha = rank is right, and the file needs no metadata, which would be written in random order."""
    scale = lora.alpha / lora.rank
    state = {
        key: (value * scale if "lora_B" in key else value).detach().float().cpu().contiguous()
        for key, value in get_peft_model_state_dict(network).items()
    }
    return convert_state_dict_to_diffusers(state)
