"""Train a small, complete Stable Diffusion from random weights on captioned images."""

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.training_utils import compute_snr
from torch import Tensor, nn

from diffaug.diffusion.truncation import refuse_truncation
from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.fit import fit
from diffaug.generator_training.latents import Latents, encode_all, kept, to_model
from diffaug.generator_training.loss import error_of
from diffaug.generator_training.muon import Muon
from diffaug.generator_training.parts import (
    assemble,
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    build_unet,
    build_vae,
)
from diffaug.generator_training.samples import Samples
from diffaug.params.train_gen import TrainGenParams


class Denoiser(nn.Module):
    """The text encoder and the U-Net, trained together."""

    def __init__(self, text_encoder: nn.Module, unet: nn.Module) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.unet = unet

    def forward(self, latents: Tensor, timesteps: Tensor, tokens: Tensor, captions: Tensor) -> Tensor:
        """The velocity of `latents` (B, C, h, w) at `timesteps` (B,), given the `tokens` (N, T) of the different
        captions and the number of each image's caption, `captions` (B,): each caption is encoded once."""
        text = self.text_encoder(tokens).last_hidden_state[captions]
        return self.unet(latents, timesteps, encoder_hidden_states=text).sample


def train_from_scratch(
    data: Captioned, params: TrainGenParams, work: Path, device: torch.device
) -> tuple[StableDiffusionPipeline, dict[str, list[float]]]:
    """The trained pipeline (on the CPU, float32) and the loss curves of its two trainings, "vae" and "unet"."""
    torch.manual_seed(params.seed)
    tokenizer = build_tokenizer(data.captions)
    refuse_truncation(tokenizer, {caption: caption for caption in data.captions}, params.captions_key)
    text_encoder = build_text_encoder(tokenizer, params.scratch.unet.text_width)
    vae = build_vae(params.scratch.size, params.scratch.vae.channels, params.scratch.vae.latent_channels)
    unet = build_unet(
        params.scratch.size,
        params.scratch.unet.channels,
        params.scratch.vae.latent_channels,
        params.scratch.unet.text_width,
    )
    images = data.images.to(device)

    vae.to(device, memory_format=torch.channels_last)
    curves = {"vae": _fit(vae, _vae_loss(vae, images, params), "vae", params, work)}
    mean, std = (one.to(device) for one in kept(work / "latents.safetensors", lambda: encode_all(vae, images)))
    vae.register_to_config(scaling_factor=_scaling_factor(mean, std))

    tokens = tokenizer(
        [*data.captions, ""], padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt"
    ).input_ids.to(device)
    denoiser = Denoiser(text_encoder, unet.to(memory_format=torch.channels_last)).to(device)
    latents = Latents(mean * vae.config.scaling_factor, std * vae.config.scaling_factor)
    samples = Samples(params, params.scratch.size, params.scratch.unet.steps, work)

    def draw(step: int, averaged: nn.Module) -> None:
        samples.draw(step, lambda: assemble(vae, averaged.unet, averaged.text_encoder, tokenizer))

    loss = _denoising_loss(denoiser, data, latents, tokens, params)
    curves["unet"] = _fit(denoiser, loss, "unet", params, work, draw)
    for network in (vae, unet, text_encoder):
        network.to("cpu", memory_format=torch.contiguous_format)
    return assemble(vae, unet, text_encoder, tokenizer), curves


def _fit(
    network: nn.Module,
    loss: Callable,
    name: str,
    params: TrainGenParams,
    work: Path,
    after: Callable[[int, nn.Module], None] = lambda step, network: None,
) -> list[float]:
    part = params.scratch.vae if name == "vae" else params.scratch.unet
    return fit(
        network,
        loss,
        Muon(network, part.learning_rate),
        name=f"scratch.{name}",
        steps=part.steps,
        learning_rate=part.learning_rate,
        ema_decay=params.scratch.ema_decay,
        seed=params.seed,
        checkpoint=work / f"{name}.safetensors",
        checkpoint_every=params.checkpoint_every,
        after=after,
    )


def _vae_loss(vae: AutoencoderKL, images: Tensor, params: TrainGenParams) -> Callable[[torch.Generator], Tensor]:
    """Absolute error of pixels and of their differences (edges), and KL (Rombach et al. 2022, 2112.10752)."""

    def loss(generator: torch.Generator) -> Tensor:
        index = torch.randint(len(images), (params.scratch.vae.batch_size,), generator=generator)
        flip = torch.rand(len(index), generator=generator) < (0.5 if params.flip else 0.0)
        pixels = to_model(images[index.to(images.device)], flip.to(images.device))
        posterior = vae.encode(pixels).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(pixels.device)
        decoded = vae.decode(posterior.mean + posterior.std * noise).sample
        error = decoded - pixels
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        return error.abs().mean() + edges + params.scratch.vae.kl_weight * posterior.kl().mean()

    return loss


def _scaling_factor(mean: Tensor, std: Tensor) -> float:
    return round(float((mean.var() + std.square().mean()).rsqrt()), 6)


def _denoising_loss(
    denoiser: Denoiser, data: Captioned, latents: Latents, tokens: Tensor, params: TrainGenParams
) -> Callable[[torch.Generator], Tensor]:
    """Error of the predicted velocity, weighted by min-SNR-5 (Hang et al. 2023, 2303.09556); captions are dropped."""
    scheduler = build_scheduler()
    signal = scheduler.alphas_cumprod.to(tokens.device)
    snr = compute_snr(scheduler, torch.arange(len(signal))).to(tokens.device)
    unconditional = len(tokens) - 1
    error = error_of(params.scratch.unet.loss)

    def loss(generator: torch.Generator) -> Tensor:
        size = params.scratch.unet.batch_size
        index = torch.randint(len(latents.mean), (size,), generator=generator)
        steps = torch.randint(len(signal), (size,), generator=generator)
        dropped = torch.rand(size, generator=generator) < params.scratch.unet.caption_dropout
        draws = torch.randn((2, size, *latents.mean.shape[1:]), generator=generator)
        labels = torch.where(dropped, unconditional, data.pick(index, generator)).to(tokens.device)
        index, steps, draws = (value.to(tokens.device) for value in (index, steps, draws))
        clean = latents.mean[index] + latents.std[index] * draws[0]
        alpha = signal[steps][:, None, None, None]
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * draws[1]
        velocity = alpha.sqrt() * draws[1] - (1 - alpha).sqrt() * clean
        predicted = denoiser(noisy, steps, tokens, labels)
        weight = snr[steps].clamp(max=5.0) / (snr[steps] + 1)
        return (weight * error(predicted, velocity).mean(dim=(1, 2, 3))).mean()

    return loss
