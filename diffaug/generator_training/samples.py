"""Pictures drawn while a generator is trained, always from the same noise, and the strip of them over the steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from diffaug.dataset.codec import decode, encode_png
from diffaug.diffusion.abilities import pipeline_for
from diffaug.generator_training.drawing import draw_one
from diffaug.params.train_gen import TrainGenParams
from diffaug.pictures.grid import Cell, make_grid
from diffaug.runtime.files import atomic_path

_COLUMNS = 16  # of the strip at most


class Samples:
    """The pictures of one training, as PNG files of its work folder: a run that continues draws none again."""

    def __init__(self, params: TrainGenParams, size: int, steps: int, work: Path) -> None:
        """size: of a picture in pixels; steps: of the training; work: its folder."""
        self._params, self._seed = params.samples, params.seed
        self._size, self._steps, self._folder = size, steps, work / "samples"

    def draw(self, step: int, pipeline: Callable[[], Any]) -> None:
        """Draw a picture of each prompt before the first step, after every so many, and after the last one. The
        pipeline is asked for only if it draws."""
        if self._params is None or (step % self._params.every and step != self._steps):
            return
        files = [self._file(step, number) for number in range(len(self._params.prompts))]
        if all(file.exists() for file in files):
            return
        drawer = pipeline_for("txt2img", pipeline())
        for number, (file, prompt) in enumerate(zip(files, self._params.prompts)):
            settings: Any = {"steps": self._params.steps, "guidance_scale": self._params.guidance_scale}
            image = draw_one(drawer, prompt, f"sample {number}", self._seed, **settings, size=self._size, key="samples")
            with atomic_path(file) as temporary:
                temporary.write_bytes(encode_png(image))

    def strip(self) -> Image.Image | None:
        """A row for each prompt and a column for each step, at most 16; None if there are no pictures."""
        if self._params is None:
            return None
        steps = sorted({int(file.name.partition("-")[0]) for file in self._folder.glob("*.png")})
        chosen = [steps[place] for place in np.unique(np.linspace(0, len(steps) - 1, _COLUMNS).round().astype(int))]
        rows = [
            (prompt, [Cell(self._open(step, number)) for step in chosen])
            for number, prompt in enumerate(self._params.prompts)
        ]
        return make_grid("the same noise, after each number of training steps", [f"step {one}" for one in chosen], rows)

    def _file(self, step: int, number: int) -> Path:
        return self._folder / f"{step:08d}-{number:02d}.png"

    def _open(self, step: int, number: int) -> Image.Image:
        file = self._file(step, number)
        return decode(file.read_bytes(), str(file))


def draw_tuned(
    samples: Samples, pipeline: Any, device: torch.device, trained: bool
) -> Callable[[int, nn.Module], None]:
    """What draws the pictures of a pipeline that is tuned in place. trained: whether its text encoders are trained, and
    so stay on the device."""
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=pipeline.unet.dtype is torch.bfloat16)
    kept = ("unet", "text_encoder", "text_encoder_2") if trained else ("unet",)
    waiting = [part for name, part in pipeline.components.items() if isinstance(part, nn.Module) and name not in kept]

    def draw(step: int, _: nn.Module) -> None:
        with autocast:
            samples.draw(step, lambda: pipeline.to(device))
        for part in waiting:
            part.to("cpu")

    return draw
