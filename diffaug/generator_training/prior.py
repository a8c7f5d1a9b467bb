"""Images of every class, drawn by a model before it is changed, for prior preservation."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from diffaug.dataset.codec import encode_png, open_image
from diffaug.diffusion.abilities import pipeline_for
from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.drawing import draw_one
from diffaug.params.train_gen import TrainGenParams
from diffaug.runtime.files import atomic_path


def draw_prior(pipeline: Any, data: Captioned, params: TrainGenParams, folder: Path, device: torch.device) -> Captioned:
    """Images of every class, or of the caption alone if there are no classes, drawn by the model before it is changed;
    kept as PNG, so an interrupted run continues."""
    prior = params.lora.prior
    assert prior is not None
    drawer = pipeline_for("txt2img", pipeline)
    captions = tuple(prior.caption.replace("{class}", name) for name in data.names) or (prior.caption,)
    files = [
        (label, folder / f"{label:04d}-{n:05d}.png") for label in range(len(captions)) for n in range(prior.images)
    ]
    for label, file in tqdm(files, desc="train_gen: prior images", unit="image", mininterval=1.0):
        if not file.exists():
            pipeline.to(device)
            settings: Any = {"steps": prior.steps, "guidance_scale": prior.guidance_scale, "size": params.lora.size}
            image = draw_one(drawer, captions[label], file.name, params.seed, **settings, key="lora.prior")
            with atomic_path(file) as temporary:
                temporary.write_bytes(encode_png(image))
    arrays = [np.asarray(open_image(file.read_bytes()).convert("RGB")) for _, file in files]
    return Captioned(
        torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([[label] for label, _ in files]),
        captions,
        data.names,
    )
