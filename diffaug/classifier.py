"""A torchvision ResNet: training under a step budget, best checkpoint by real val, saving, loading, predicting."""

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2
from tqdm import tqdm

from diffaug.errors import UserError
from diffaug.images import to_rgb_array
from diffaug.params.training import TrainClsParams
from diffaug.records import ImageSet
from diffaug.weights import given_weights, load_matching

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as torchvision's weights expect


@dataclass(frozen=True)
class Tensors:
    """A whole set on the device: `images` uint8 (N, 3, S, S), `labels` int64 (N,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class TrainedClassifier:
    """The best model by val, and a row for every evaluation: step, train_loss, val_loss, val_accuracy."""

    model: nn.Module
    history: list[dict[str, float]]


def to_tensors(images: ImageSet, size: int, device: torch.device) -> Tensors:
    """All images of a set, scaled to size x size, on the device."""
    arrays = np.stack([to_rgb_array(record.open(), size) for record in images])
    labels = torch.tensor([record.label for record in images])
    return Tensors(torch.from_numpy(arrays).permute(0, 3, 1, 2).contiguous().to(device), labels.to(device))


def build(params: TrainClsParams, classes: int) -> nn.Module:
    """The network with its weights: random, from a .safetensors file by name and shape, or torchvision's by their name.

    Raises UserError where the model or the weights are unknown.
    """
    if params.model not in torchvision.models.list_models(torchvision.models):
        known = ", ".join(name for name in torchvision.models.list_models(torchvision.models) if "resne" in name)
        raise UserError(f"params.yaml: train_cls.model: found {params.model!r}; allowed are {known}")
    model = torchvision.models.get_model(params.model, weights=None, num_classes=classes)
    if params.weights is not None:
        given = given_weights(params.model, params.weights, "train_cls.weights")
        load_matching(model, given, params.weights, "train_cls.weights")
    return model


def train_classifier(
    train: Tensors,
    val: Tensors,
    classes: int,
    params: TrainClsParams,
    seed: int,
    label: str,
    indices: Iterator[int],
    classic: bool = False,
) -> TrainedClassifier:
    """Train for exactly `params.steps` steps and keep the weights with the best val accuracy (then the lower loss).

    indices: the train images in the order in which they are seen. classic: with RandAugment (Cubuk et al. 2019,
    arXiv:1909.13719) and, for every batch, MixUp (Zhang et al. 2017, arXiv:1710.09412) or CutMix (Yun et al. 2019,
    arXiv:1905.04899).
    """
    torch.manual_seed(seed)
    random.seed(seed)
    device = train.images.device
    model = build(params, classes).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay, fused=True
    )
    scheduler = _scheduler(optimizer, params)
    augment = _augment(params, classic)
    mix = v2.RandomChoice([v2.MixUp(num_classes=classes), v2.CutMix(num_classes=classes)]) if classic else None
    # bfloat16 needs no loss scaling, which would skip steps, and not the same ones in both arms.
    mixed = device.type == "cuda" and torch.cuda.is_bf16_supported()
    best: dict[str, Tensor] = {}
    best_key = (-1.0, 0.0)
    history: list[dict[str, float]] = []
    losses: list[Tensor] = []
    for step in tqdm(range(1, params.steps + 1), desc=label, unit="step", mininterval=1.0):
        model.train()
        index = torch.tensor(list(itertools.islice(indices, params.batch_size)), device=device)
        pixels, labels = torch.stack([augment(image) for image in train.images[index]]), train.labels[index]
        if mix is not None:
            pixels, labels = mix(pixels.float(), labels)
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            loss = F.cross_entropy(model(normalize(pixels)), labels)
        if not torch.isfinite(loss):
            raise UserError(f"{label}: the loss became {loss.item()} at step {step}; lower train_cls.learning_rate")
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        scheduler.step()
        losses.append(loss.detach())
        if step % params.eval_every == 0 or step == params.steps:
            logits = predict_logits(model, val.images)
            accuracy = (logits.argmax(1) == val.labels).float().mean().item()
            val_loss = F.cross_entropy(logits, val.labels).item()
            train_loss = torch.stack(losses).mean().item()
            losses.clear()
            history.append({"step": step, "train_loss": train_loss, "val_loss": val_loss, "val_accuracy": accuracy})
            if (accuracy, -val_loss) > best_key:
                best_key = (accuracy, -val_loss)
                best = {key: value.detach().clone() for key, value in model.state_dict().items()}
    model.load_state_dict(best)
    return TrainedClassifier(model.eval(), history)


def _scheduler(optimizer: torch.optim.Optimizer, params: TrainClsParams) -> torch.optim.lr_scheduler.LRScheduler:
    if params.schedule == "one_cycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, params.learning_rate, total_steps=params.steps + 1)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, params.steps)


def _augment(params: TrainClsParams, classic: bool) -> v2.Transform:
    shift = round(params.shift * params.image_size)
    steps: list[v2.Transform] = [v2.RandomHorizontalFlip(params.flip)]
    if shift:
        steps.append(v2.RandomCrop(params.image_size, padding=shift, padding_mode="edge"))
    return v2.Compose([*steps, v2.RandAugment()] if classic else steps)


def normalize(pixels: Tensor) -> Tensor:
    """Levels 0 to 255 (B, 3, S, S) to float32 with ImageNet's mean and deviation."""
    mean, std = (torch.tensor(value, device=pixels.device)[:, None, None] for value in (_MEAN, _STD))
    return ((pixels.float() / 255 - mean) / std).to(memory_format=torch.channels_last)


@torch.inference_mode()
def predict_logits(model: nn.Module, images: Tensor, batch_size: int = 256) -> Tensor:
    """Logits (N, classes) of uint8 images (N, 3, S, S)."""
    model.eval()
    return torch.cat([model(normalize(batch)).float() for batch in images.split(batch_size)])


def save_classifier(folder: Path, model: nn.Module, params: TrainClsParams, names: tuple[str, ...]) -> None:
    """Write `model.safetensors` and `model.json` (architecture, image size, class names)."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.cpu().contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors"
    )
    facts = {"model": params.model, "image_size": params.image_size, "names": list(names)}
    (folder / "model.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def load_classifier(folder: Path, device: torch.device) -> tuple[nn.Module, dict]:
    """The model in eval mode and the facts of `model.json`. Raises UserError where the folder holds none."""
    try:
        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: no classifier; run `dvc repro` or `dvc pull` first") from None
    model = torchvision.models.get_model(facts["model"], weights=None, num_classes=len(facts["names"]))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.to(device).to(memory_format=torch.channels_last).eval(), facts
