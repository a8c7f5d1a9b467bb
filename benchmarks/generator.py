"""Compares what generators draw from the same prompts and noise with real images that none of them was trained on.

python benchmarks/generator.py [--per-class 100] MODEL[,KEY=VALUE...] [MODEL...]

MODEL is a pipeline folder; KEY is scheduler, steps or guidance, by default those of params.yaml. Run it where `dvc
repro download` has run with a large pool that no model was trained on (download.cls.pool: 9000 of the default's
10,000). A half of the pool trains the fixed classifier, in whose features the sets are compared with the other half;
the line `real` is a part of that half, as large as the drawn sets, against the rest.

kid, precision, recall, coverage: see diffaug/scoring/quality.py. accuracy: of the fixed classifier on the images.
alone: accuracy on real val of a classifier trained on these images alone. Test images are not used.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import nn

from diffaug.classifier.predicting import Tensors, predict_logits, to_tensors
from diffaug.classifier.training import train_classifier
from diffaug.dataset.records import ImageSet, read_set
from diffaug.diffusion.schedulers import make_scheduler
from diffaug.params import load_params
from diffaug.params.train_cls import TrainClsParams
from diffaug.pictures.canvas import leave_text_canvas
from diffaug.runtime.device import choose_device
from diffaug.scoring.quality import compare
from diffaug.training.order import endless
from diffaug.training.run import Run

_BATCH = 50
_NEAREST = 5
_ROW = "| {:44} | {:>8} | {:>9} | {:>6} | {:>8} | {:>8} | {:>5} | {:>7} |"


@dataclass(frozen=True)
class Drawn:
    """A generator and its settings."""

    model: str
    scheduler: str
    steps: int
    guidance: float

    def changed(self, text: str) -> "Drawn":
        """With MODEL,KEY=VALUE,..."""
        model, *pairs = text.split(",")
        kinds = {"scheduler": str, "steps": int, "guidance": float}
        if wrong := [pair for pair in pairs if pair.partition("=")[0] not in kinds]:
            raise SystemExit(f"found {wrong[0]!r}; allowed are {', '.join(kinds)}, as KEY=VALUE")
        return replace(
            self, model=model, **{key: kinds[key](value) for key, _, value in (p.partition("=") for p in pairs)}
        )

    def draw(self, names: tuple[str, ...], per_class: int, size: int, device: torch.device) -> tuple[Tensors, float]:
        """Images of every class, of the size of the real ones, then scaled to `size`; and the seconds for each."""
        pipeline = StableDiffusionPipeline.from_pretrained(self.model, dtype=torch.float32, local_files_only=True)
        pipeline.to(device).set_progress_bar_config(disable=True)
        pipeline.scheduler = make_scheduler(self.scheduler, pipeline.scheduler)
        labels = [label for label in range(len(names)) for _ in range(per_class)]
        images: list[np.ndarray] = []
        started = time.perf_counter()
        for first in range(0, len(labels), _BATCH):
            batch = range(first, min(first + _BATCH, len(labels)))
            drawn = pipeline(
                [f"a photo of a {names[labels[number]]}" for number in batch],
                num_inference_steps=self.steps,
                guidance_scale=self.guidance,
                generator=[torch.Generator("cpu").manual_seed(number) for number in batch],
            ).images
            images += [_as_the_real_ones(one, size) for one in drawn]
        seconds = (time.perf_counter() - started) / len(labels)
        return Tensors(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.tensor(labels)), seconds


def _as_the_real_ones(image: Image.Image, size: int) -> np.ndarray:
    grey = leave_text_canvas(image, (28, 28)).convert("L").convert("RGB")
    return np.asarray(grey.resize((size, size), Image.Resampling.LANCZOS))


def train(images: Tensors, val: Tensors, classes: int, params: TrainClsParams) -> nn.Module:
    """A classifier of the params on these images."""
    with tempfile.TemporaryDirectory() as folder:
        order = partial(endless, len(images.labels), 0, None)
        run = Run("fixed", 0, lambda start: order(start=start), Path(folder))
        return train_classifier(images, val, classes, params, run).model


def features(model: nn.Module, images: Tensors) -> np.ndarray:
    """The classifier's features (N, D)."""
    last, model.fc = model.fc, nn.Identity()
    found = predict_logits(model, images.images).cpu().numpy()
    model.fc = last
    return found


def accuracy(model: nn.Module, images: Tensors) -> float:
    """Share of right predictions."""
    return float((predict_logits(model, images.images).argmax(1) == images.labels).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    params, device = load_params(), choose_device()
    pool, size = read_set(Path("data/pool")), params.train_cls.image_size
    half = len(pool.records) // 2
    first, second = (
        to_tensors(ImageSet(pool.names, part), size, device) for part in (pool.records[:half], pool.records[half:])
    )
    val = to_tensors(read_set(Path("data/real/cls/val")), size, device)
    fixed = train(first, val, len(pool.names), params.train_cls.model_copy(update={"steps": 1500, "eval_every": 100}))
    count = arguments.per_class * len(pool.names)
    if len(second.labels) < 3 * count:
        raise SystemExit(f"data/pool has {len(pool)} images, but {6 * count} are needed; raise download.cls.pool")
    held = features(fixed, second)
    print(_ROW.format("images", "kid", "precision", "recall", "coverage", "accuracy", "alone", "s/image"))
    print("|---" * 8 + "|")
    base = Drawn("", params.generate.scheduler, params.generate.num_inference_steps, params.generate.guidance_scale)
    for text in ("real", *arguments.models):
        if text == "real":
            made, seconds = Tensors(second.images[:count], second.labels[:count]), 0.0
        else:
            made, seconds = base.changed(text).draw(pool.names, arguments.per_class, size, device)
        found = compare(held[count:], features(fixed, made), _NEAREST)
        alone = accuracy(train(made, val, len(pool.names), params.train_cls), val)
        shape = [f"{found[name]:.3f}" for name in ("precision", "recall", "coverage")]
        kid = f"{found['kid']:.4f}"
        print(
            _ROW.format(text, kid, *shape, f"{accuracy(fixed, made):.3f}", f"{alone:.3f}", f"{seconds:.3f}"), flush=True
        )


if __name__ == "__main__":
    main()
