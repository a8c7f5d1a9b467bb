"""How a trained generator draws: what it takes the clean image to be, at some steps of the reverse process."""

from typing import Any

import torch
from diffusers import DDIMScheduler
from PIL import Image
from torch import Tensor

from diffaug.pictures.canvas import leave_text_canvas
from diffaug.pictures.grid import Cell, make_grid

_STEPS, _SHOWN, _GUIDANCE = 16, 8, 1.5
_ROWS = 6  # captions


class _Watched(DDIMScheduler):
    """DDIM (Song et al. 2020, arXiv:2010.02502) that keeps its estimates of the clean latents, (B, C, h, w) each."""

    def step(self, *arguments: Any, **named: Any) -> Any:
        result = super().step(*arguments, **named)
        self.estimates.append(result[1] if isinstance(result, tuple) else result.pred_original_sample)
        return result


@torch.inference_mode()
def reverse_strip(pipeline: Any, captions: tuple[str, ...], pixels: tuple[int, int] | None) -> Image.Image:
    """A row for each of the first 6 captions, a column for every second of 16 steps, all from one noise.

    pixels: (width, height) of the training images, if they are smaller than the canvas.
    """
    own, captions = pipeline.scheduler, captions[:_ROWS]
    scheduler: Any = _Watched.from_config(own.config)
    scheduler.estimates = []
    pipeline.scheduler = scheduler
    generators = [torch.Generator("cpu").manual_seed(0) for _ in captions]
    pipeline.set_progress_bar_config(disable=True)
    pipeline(
        prompt=list(captions),
        num_inference_steps=_STEPS,
        guidance_scale=_GUIDANCE,
        generator=generators,
        output_type="latent",
    )
    pipeline.scheduler = own
    every = _STEPS // _SHOWN
    shown = [_decoded(pipeline, estimate) for estimate in scheduler.estimates[every - 1 :: every]]
    rows = [
        (caption, [Cell(step[row] if pixels is None else leave_text_canvas(step[row], pixels)) for step in shown])
        for row, caption in enumerate(captions)
    ]
    columns = [f"step {every * (number + 1)} of {_STEPS}" for number in range(len(shown))]
    return make_grid("what the model takes the clean image to be, from one noise", columns, rows, side=96)


def _decoded(pipeline: Any, latents: Tensor) -> list[Image.Image]:
    pixels = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    return pipeline.image_processor.postprocess(pixels, output_type="pil")
