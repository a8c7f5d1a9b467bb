"""The methods that train a pre-trained model further, from the open pipeline to the files of what was learned."""

from pathlib import Path
from typing import Any

import torch

from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.lora import train_lora
from diffaug.generator_training.samples import Samples
from diffaug.generator_training.save import save_embedding, save_lora
from diffaug.generator_training.textual_inversion import train_textual_inversion
from diffaug.params.train_gen import TrainGenParams


def tune(
    pipeline: Any, data: Captioned, params: TrainGenParams, work: Path, device: torch.device, folder: Path
) -> None:
    """Train by LoRA or teach a new word, as the params say, and write the result to the folder. Raises UserError."""
    assert params.tuned is not None
    tuned, context = params.tuned, params.context
    samples = Samples(params, tuned.size, tuned.steps, work)
    if params.method == "lora":
        weights, losses = train_lora(pipeline, data, params, work, device)
        save_lora(weights, losses, tuned.model, context, folder, samples.strip())
    else:
        token = params.textual_inversion.token
        vectors, losses = train_textual_inversion(pipeline, data, params, work, device)
        save_embedding(vectors, token, losses, tuned.model, context, folder, samples.strip())
