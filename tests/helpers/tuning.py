"""Small settings of train_gen, images to learn, and a saved pipeline opened as any diffusers user does."""

from pathlib import Path
from typing import Any

import torch
import yaml
from diffusers import DiffusionPipeline
from paths import ROOT

from diffaug.generator_training.captioned import Captioned
from diffaug.params.train_gen import TrainGenParams

CAPTION = "a photo of a thing"


def params(scratch: dict[str, Any] | None = None, **lora: Any) -> TrainGenParams:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train_gen"] | {"checkpoint_every": 2}
    small = {"size": 16, "rank": 2, "alpha": 4, "steps": 3, "batch_size": 2, "gradient_accumulation": 2}
    raw |= {key: lora.pop(key) for key in list(lora) if key in ("method", "images", "samples")}
    raw["lora"] |= small | {"model": {"name": "./base"}, "gradient_checkpointing": False} | lora
    if scratch:
        raw["scratch"] |= {"size": 16}
        for part, changes in scratch.items():
            raw["scratch"][part] |= changes
    return TrainGenParams.model_validate(raw)


def bars(low: int, high: int, count: int = 24) -> Captioned:
    """Dark images of a light bar, six pixels wide, whose left edge moves from `low` to `high`; one caption."""
    images = torch.full((count, 3, 16, 16), 20, dtype=torch.uint8)
    for image, left in zip(images, torch.linspace(low, high, count).round().int().tolist()):
        image[:, 3:13, left : left + 6] = 230
    return Captioned(images, torch.zeros((count, 1), dtype=torch.long), (CAPTION,), ("thing",))


def opened(folder: Path, **parts: Any) -> Any:
    pipeline = DiffusionPipeline.from_pretrained(folder, **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
