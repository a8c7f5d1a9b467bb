"""Networks of super-resolution in single files (ESRGAN, Real-ESRGAN, SwinIR, ...), which the library spandrel knows."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from spandrel import ImageModelDescriptor, ModelLoader, ModelTiling, canonicalize_state_dict
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from diffaug.enlarging.tiles import Tile, Upscaler
from diffaug.hub.opening import opening
from diffaug.hub.pickled import read_pickled
from diffaug.hub.weights import refuse_not_finite
from diffaug.runtime.errors import UserError
from diffaug.runtime.hashes import weights_sha256

_TILE = 512  # pixels


def open_network(path: Path, device: torch.device, dtype: torch.dtype | None = None) -> Upscaler:
    """The network of a .safetensors file, or of the tensors of a pickled one, of which nothing is run.

    dtype: the type of its numbers; by default float16 on a GPU if the network can do it, otherwise float32. Raises
    UserError if the file is damaged, or no network that enlarges pictures.
    """
    tensors = canonicalize_state_dict(_tensors(path))
    refuse_not_finite(tensors, str(path))
    with opening(f"{path}: is no network of super-resolution that spandrel knows, or is damaged", path):
        network = ModelLoader().load_from_state_dict(dict(tensors))
    if not isinstance(network, ImageModelDescriptor) or network.input_channels != network.output_channels:
        raise UserError(f"{path}: {network.architecture.name} does not enlarge pictures; take another model")
    if network.input_channels not in (1, 3):
        raise UserError(
            f"{path}: {network.architecture.name} takes pictures of {network.input_channels} channels; allowed are 1 "
            "(grey) and 3 (RGB); take another model"
        )
    half = device.type != "cpu" and network.supports_half
    network.eval().to(device, dtype or (torch.float16 if half else torch.float32))

    def draw(tile: Tile) -> Image.Image:
        nonlocal network
        pixels = pil_to_tensor(tile.part).float() / 255
        drawn = _applied(network, pixels)
        if not drawn.isfinite().all() and network.dtype is not torch.float32:  # a number was too large for 16 bits
            network = ModelLoader(device).load_from_state_dict(dict(tensors)).eval()
            drawn = _applied(network, pixels)
        if not drawn.isfinite().all():
            raise ValueError("it gives numbers that are not finite")
        return to_pil_image((drawn * 255).round().byte().cpu())

    side = _TILE if network.tiling is ModelTiling.SUPPORTED else 0
    return Upscaler(path.name, weights_sha256(path), network.scale, side, draw)


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return read_pickled(path)[0]
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not readable as .safetensors ({error}); fetch it again") from None


def _applied(network: Any, pixels: Tensor) -> Tensor:
    """A picture (3, H, W) in [0, 1], enlarged; a network for grey pictures gets one channel after another."""
    parts = pixels[:, None, None] if network.input_channels == 1 else pixels[None, None]
    return torch.cat([network(one.to(network.device, network.dtype)).float() for one in parts], 1)[0]
