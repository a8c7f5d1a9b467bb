"""Fine-tune a pre-trained diffusion model on captioned images by LoRA (Hu et al. 2021, arXiv:2106.09685)."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import cast_training_params
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from diffaug.dataset.codec import encode_png, open_image
from diffaug.diffusion.abilities import pipeline_for
from diffaug.diffusion.opening import take_safety_checker
from diffaug.diffusion.prompt_length import refuse_long_prompts
from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.fit import fit
from diffaug.generator_training.latents import Latents, encode_all, kept
from diffaug.generator_training.optimizer import make_optimizer, refuse_optimizer
from diffaug.params.train_gen import LoraParams, PriorParams, TrainGenParams
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

_ATTENTION = ["to_k", "to_q", "to_v", "to_out.0"]  # as in diffusers' own training examples
_PIXELS_AT_ONCE = 512**2  # of the images that the VAE encodes together
_CAPTIONS_AT_ONCE = 32
_TEXT_ATTENTION = ["q_proj", "k_proj", "v_proj", "out_proj"]


def train_lora(
    pipeline: Any, data: Captioned, params: TrainGenParams, work: Path, device: torch.device
) -> tuple[dict[str, dict[str, Tensor]], dict[str, list[float]]]:
    """LoRA weights by the part to which they belong ("unet", "text_encoder", ...), scaled by alpha, and the loss curve.

    `pipeline`: an open text-to-image pipeline with a U-Net; it is changed. Raises UserError if it has none, or if its
    text encoder is to be trained and is a language model.
    """
    lora = params.lora
    if getattr(pipeline, "unet", None) is None:
        raise UserError(
            f"params.yaml: train_gen.lora.model: {type(pipeline).__name__} has no U-Net, and LoRA training supports "
            "only models with one (Stable Diffusion 1, 2 and XL, Kolors); set train_gen.method: none to use it without "
            "training"
        )
    if lora.text_encoder:
        refuse_language_models(pipeline)
    refuse_optimizer(lora, device)
    refuse_long_prompts(pipeline, data.captions, "train_gen.caption")
    take_safety_checker(pipeline)
    parts = [(1.0, 0, encode_latents(pipeline, data, device, work / "latents.safetensors"))]
    captions = [*data.captions]
    if lora.prior is not None:
        prior = draw_prior(pipeline, data, params, work / "prior", device)
        pipeline.to("cpu")
        latents = encode_latents(pipeline, prior, device, work / "prior.safetensors")
        parts.append((lora.prior.weight, len(captions), latents))
        captions += prior.captions
    captions.append("")
    fixed = None if lora.text_encoder else fixed_conditions(pipeline, captions, lora.size, device)
    adapted = add_adapters(pipeline, lora, params.seed)
    for network in adapted.values():
        network.to(device)
    trained = nn.ParameterList([p for network in adapted.values() for p in network.parameters() if p.requires_grad])
    curve = fit(
        trained,
        _loss(pipeline, parts, captions, fixed, params),
        make_optimizer(trained.parameters(), lora),
        name="lora",
        steps=lora.steps,
        learning_rate=lora.learning_rate,
        ema_decay=0.0,
        seed=params.seed,
        checkpoint=work / "lora.safetensors",
        checkpoint_every=params.checkpoint_every,
        accumulate=lora.gradient_accumulation,
    )
    return {name: _weights(network, lora) for name, network in adapted.items()}, {"lora": curve}


def text_encoders(pipeline: Any) -> dict[str, Any]:
    """The pipeline's text encoders by their names in it."""
    return {name: part for name, part in pipeline.components.items() if name.startswith("text_encoder") and part}


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


def encode_latents(pipeline: Any, data: Captioned, device: torch.device, file: Path) -> Latents:
    """The images' posteriors, scaled as the U-Net expects them, float32; kept in the file for a later start.

    Only the VAE is on the device meanwhile, with as many images at once as make one of 512 x 512 pixels.
    """
    vae = pipeline.vae
    own, batch_size = vae.dtype, max(1, _PIXELS_AT_ONCE // data.images.shape[-1] ** 2)

    def encode() -> tuple[Tensor, Tensor]:
        vae.to(device, torch.float32)  # SDXL's VAE overflows in half precision
        return encode_all(vae, data.images, batch_size)

    mean, std = (one.to(device) for one in kept(file, encode))
    vae.to("cpu", own)
    shift, scale = getattr(vae.config, "shift_factor", None) or 0.0, vae.config.scaling_factor
    return Latents(((mean - shift) * scale).float(), (std * scale).float(), data.labels.to(device))


def draw_prior(pipeline: Any, data: Captioned, params: TrainGenParams, folder: Path, device: torch.device) -> Captioned:
    """Images of every class, drawn by the model before it is changed; kept as PNG, so an interrupted run continues."""
    prior = params.lora.prior
    assert prior is not None
    drawer = pipeline_for("txt2img", pipeline)
    captions = tuple(prior.caption.replace("{class}", name) for name in data.names)
    files = [
        (label, folder / f"{label:04d}-{n:05d}.png") for label in range(len(captions)) for n in range(prior.images)
    ]
    for label, file in tqdm(files, desc="train_gen: prior images", unit="image", mininterval=1.0):
        if not file.exists():
            pipeline.to(device)
            image = _draw_one(drawer, captions[label], file.name, prior, params)
            with atomic_path(file) as temporary:
                temporary.write_bytes(encode_png(image))
    arrays = [np.asarray(open_image(file.read_bytes()).convert("RGB")) for _, file in files]
    return Captioned(
        torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([label for label, _ in files]),
        captions,
        data.names,
    )


def _draw_one(drawer: Any, caption: str, name: str, prior: PriorParams, params: TrainGenParams) -> Image.Image:
    seed = int.from_bytes(hashlib.sha256(f"{params.seed} {name}".encode()).digest()[:8], "big") >> 1
    with torch.inference_mode():
        drawn = drawer(
            prompt=caption,
            num_inference_steps=prior.steps,
            guidance_scale=prior.guidance_scale,
            height=params.lora.size,
            width=params.lora.size,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="np",
        ).images
    if not np.isfinite(drawn).all():
        raise UserError(
            f"train_gen.lora.prior: the pixels of {name} are not finite numbers in {drawer.vae.dtype}; take another "
            "train_gen.lora.model, or set prior: null"
        )
    return drawer.numpy_to_pil(drawn)[0]


def _loss(
    pipeline: Any,
    parts: list[tuple[float, int, Latents]],
    captions: list[str],
    fixed: dict[str, Any] | None,
    params: TrainGenParams,
) -> Callable[[torch.Generator], Tensor]:
    """Mean squared error of the model's prediction (noise, velocity or image). `parts`: weight, index of the first
    caption, and images, of the own and the prior images; the last caption is the empty one. fixed: the conditions of
    the captions; None if the text encoders are trained."""
    lora, device = params.lora, pipeline.unet.device
    scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=pipeline.unet.dtype is torch.bfloat16)

    def one(latents: Latents, offset: int, generator: torch.Generator) -> Tensor:
        index = torch.randint(len(latents.labels), (lora.batch_size,), generator=generator)
        steps = torch.randint(scheduler.config.num_train_timesteps, (lora.batch_size,), generator=generator)
        dropped = torch.rand(lora.batch_size, generator=generator) < lora.caption_dropout
        flip = torch.rand(lora.batch_size, generator=generator) < (0.5 if params.flip else 0.0)
        draws = torch.randn((2, lora.batch_size, *latents.mean.shape[1:]), generator=generator)
        index, steps, dropped, flip, draws = (value.to(device) for value in (index, steps, dropped, flip, draws))
        clean = latents.mean[index] + latents.std[index] * draws[0]
        # A mirrored latent is the latent of the mirrored image, except for the VAE's small asymmetry.
        clean = torch.where(flip[:, None, None, None], clean.flip(-1), clean)
        noisy = scheduler.add_noise(clean, draws[1], steps)
        rows = torch.where(dropped, len(captions) - 1, latents.labels[index] + offset).tolist()
        arguments = (
            _rows(fixed, rows) if fixed else condition(pipeline, [captions[row] for row in rows], lora.size, device)
        )
        with autocast:
            predicted = pipeline.unet(noisy.to(pipeline.unet.dtype), steps, **arguments).sample
        return F.mse_loss(predicted.float(), _target(scheduler, clean, draws[1], steps))

    def loss(generator: torch.Generator) -> Tensor:
        values = [weight * one(latents, offset, generator) for weight, offset, latents in parts]
        return torch.stack(values).sum()

    return loss


@torch.no_grad()
def fixed_conditions(pipeline: Any, captions: list[str], size: int, device: torch.device) -> dict[str, Any]:
    """The U-Net's conditions for all captions, encoded some at a time, with the text encoders on the device."""
    encoders = text_encoders(pipeline).values()
    for encoder in encoders:
        encoder.to(device)
    parts = [
        condition(pipeline, captions[start : start + _CAPTIONS_AT_ONCE], size, device)
        for start in range(0, len(captions), _CAPTIONS_AT_ONCE)
    ]
    for encoder in encoders:
        encoder.to("cpu")
    return _joined(parts)


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], dict):
        return {key: _joined([part[key] for part in parts]) for key in parts[0]}
    return torch.cat(parts)


def condition(pipeline: Any, captions: list[str], size: int, device: torch.device) -> dict[str, Any]:
    """The U-Net's conditions for the captions: the text and, for SDXL and Kolors, the pooled text and the size."""
    encoded = pipeline.encode_prompt(
        prompt=captions, device=device, num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    arguments: dict[str, Any] = {"encoder_hidden_states": encoded[0]}
    if pipeline.unet.config.addition_embed_type == "text_time":
        ids = torch.tensor([[size, size, 0, 0, size, size]], device=device, dtype=encoded[0].dtype)
        arguments["added_cond_kwargs"] = {"text_embeds": encoded[2], "time_ids": ids.expand(len(captions), -1)}
    return arguments


def _rows(value: Any, rows: list[int]) -> Any:
    return {key: _rows(item, rows) for key, item in value.items()} if isinstance(value, dict) else value[rows]


def _target(scheduler: DDPMScheduler, clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
    match scheduler.config.prediction_type:
        case "epsilon":
            return noise
        case "v_prediction":
            return scheduler.get_velocity(clean, noise, steps)
        case _:
            return clean


def _weights(network: nn.Module, lora: LoraParams) -> dict[str, Tensor]:
    """The trained layers by the names under which diffusers saves them. They are already scaled by alpha, so that any
    loader's default alpha = rank is right, and the file needs no metadata, which would be written in random order."""
    scale = lora.alpha / lora.rank
    state = {
        key: (value * scale if "lora_B" in key else value).detach().float().cpu().contiguous()
        for key, value in get_peft_model_state_dict(network).items()
    }
    return convert_state_dict_to_diffusers(state)
