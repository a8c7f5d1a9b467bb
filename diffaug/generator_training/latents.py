"""Images as the input and the latents of a VAE."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path


def to_model(images: Tensor, flip: Tensor | None = None) -> Tensor:
    """uint8 (B, 3, S, S) to float32 in [-1, 1]; mirrored where `flip` (B,) is true."""
    pixels = images.float() / 127.5 - 1
    return pixels if flip is None else torch.where(flip[:, None, None, None], pixels.flip(-1), pixels)


@dataclass(frozen=True)
class Latents:
    """Every image's posterior in the latent, at unit variance: `mean`, `std` (N, C, h, w)."""

    mean: Tensor
    std: Tensor


@torch.no_grad()
def encode_all(vae: AutoencoderKL, images: Tensor, batch_size: int = 256) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every image's latent, unscaled, (N, C, h, w) each. Raises UserError if one is
    not a finite number."""
    batches = tqdm(images.split(batch_size), desc="train_gen: encoding", unit="batch", mininterval=1.0, leave=False)
    parts = [vae.encode(to_model(batch.to(vae.device)).to(vae.dtype)).latent_dist for batch in batches]
    mean, std = torch.cat([part.mean for part in parts]), torch.cat([part.std for part in parts])
    if not (mean.isfinite().all() and std.isfinite().all()):
        raise UserError("train_gen: the VAE gives latents that are not finite numbers; take another model")
    return mean, std


def kept(file: Path, encode: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (N, C, h, w) from the file of an earlier start, written first if it is missing.

    Both have the same memory format whether they are encoded or read: it changes the rounding of what uses them.
    """
    if not file.exists():
        encoded = dict(zip(("mean", "std"), encode()))
        with atomic_path(file) as temporary:
            save_file({name: value.contiguous() for name, value in encoded.items()}, temporary)
    else:
        encoded = load_file(file)
    mean, std = (encoded[name].contiguous(memory_format=torch.channels_last) for name in ("mean", "std"))
    return mean, std
