"""Upscalers of diffusers: Stable Diffusion's four times, and that which doubles latents."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionLatentUpscalePipeline, StableDiffusionUpscalePipeline
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from diffaug.diffusion.finding import resolve_dtype
from diffaug.diffusion.opening import open_pipeline
from diffaug.enlarging.tiles import Tile, Upscaler
from diffaug.hub.locate import locate_pipeline
from diffaug.hub.parts import INDEX, pipeline_class
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError
from diffaug.runtime.quiet import silence_libraries

_KEY = "--model"
_MULTIPLE = 64  # of a side in pixels: what the VAE and the U-Net halve together, up to seven times
# Sides of the tiles in pixels: those of the pictures on which they were trained.
_TILES = {StableDiffusionUpscalePipeline: 128, StableDiffusionLatentUpscalePipeline: 512}


@dataclass(frozen=True)
class Drawing:
    """How an upscaler draws. prompt: what the picture shows; steps: None for the pipeline's own number; seed: of the
    noise."""

    prompt: str = ""
    steps: int | None = None
    seed: int = 0


def model_name(text: str, revision: str | None, hub: str | None = None) -> ModelName:
    """A folder, or a hub id with its commit. Raises UserError if it is neither."""
    try:
        name = str(Path(text).resolve()) if Path(text).exists() else text
        return ModelName.model_validate({"name": name, "revision": revision, "hub": hub})
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"upscale: {_KEY}: {reason}") from None


def open_upscaler(name: ModelName, drawing: Drawing, device: torch.device) -> Upscaler:
    """The upscaler of a folder or a hub. Raises UserError if it is missing, damaged, pickled, or another pipeline."""
    silence_libraries()
    try:
        located = locate_pipeline(name, _KEY)
        kind = pipeline_class(located.path / INDEX)
        if kind not in _TILES:
            allowed = " and ".join(one.__name__ for one in _TILES)
            raise UserError(f"{_KEY}: {located.name} is a {kind.__name__}; allowed are {allowed}")
        pipeline = open_pipeline(name, located, _KEY, resolve_dtype("auto", device))
    except UserError as error:
        raise UserError(f"upscale: {str(error).removeprefix('params.yaml: ')}") from None
    if getattr(pipeline, "safety_checker", None) is not None:
        pipeline.register_modules(safety_checker=None)  # it would replace tiles by black ones
    pipeline.to(device)
    pipeline.set_progress_bar_config(desc="steps", leave=False)
    latent = kind is StableDiffusionLatentUpscalePipeline
    scale = 2 if latent else pipeline.vae_scale_factor
    # Pixels of the picture for each latent that is drawn.
    noise = _Noise(pipeline, pipeline.vae_scale_factor // 2 if latent else 1, drawing.seed)

    def draw(tile: Tile) -> Image.Image:
        given: dict[str, Any] = {"num_inference_steps": drawing.steps} if drawing.steps is not None else {}
        if not drawing.prompt:
            given["guidance_scale"] = 1.0  # towards an empty prompt, away from an empty prompt: nothing
        generator = torch.Generator("cpu").manual_seed(drawing.seed)
        return pipeline(drawing.prompt, image=tile.part, latents=noise(tile), generator=generator, **given).images[0]

    label = Path(located.name).name if not name.on_hub else f"{located.name}@{name.revision}"
    return Upscaler(label, located.sha256, scale, _TILES[kind], draw, _MULTIPLE, draws=True)


class _Noise:
    """The noise with which a tile begins: cut out of one for the whole picture, so that what two tiles share is drawn
    from the same noise. pixels: of the picture for each latent."""

    def __init__(self, pipeline: Any, pixels: int, seed: int) -> None:
        self._pipeline, self._pixels, self._seed = pipeline, pixels, seed
        self._whole: Tensor | None = None

    def __call__(self, tile: Tile) -> Tensor:
        """(1, C, h, w) of the tile."""
        width, height, left, top = (side // self._pixels for side in (*tile.whole, *tile.corner))
        shape = (1, self._pipeline.vae.config.latent_channels, height, width)
        if self._whole is None or self._whole.shape != shape:
            self._whole = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(self._seed))
        down, across = (side // self._pixels for side in (tile.part.height, tile.part.width))
        return self._whole[..., top : top + down, left : left + across].to(self._pipeline.unet.dtype)
