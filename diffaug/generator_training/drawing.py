"""One picture drawn by a pipeline in training, from its own noise."""

import hashlib
from typing import Any

import numpy as np
import torch
from PIL import Image

from diffaug.runtime.errors import UserError


@torch.no_grad()
def draw_one(
    drawer: Any, caption: str, name: str, seed: int, *, steps: int, guidance_scale: float, size: int, key: str
) -> Image.Image:
    """`size` pixels square; the noise depends on the seed and the picture's `name` alone. key: of the params, for the
    UserError if the pixels are not finite numbers."""
    own = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "big") >> 1
    drawn = drawer(
        prompt=caption,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        height=size,
        width=size,
        generator=torch.Generator("cpu").manual_seed(own),
        output_type="np",
    ).images
    if not np.isfinite(drawn).all():
        raise UserError(
            f"train_gen.{key}: the pixels of {name} are not finite numbers in {drawer.vae.dtype}; take another model, "
            f"lower the learning rate, or set {key.rpartition('.')[2]}: null"
        )
    return drawer.numpy_to_pil(drawn)[0]
