"""A torchvision ResNet: built with its initial weights, saved and opened without a pickle."""

import json
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from diffaug.hub.weights import given_weights, load_matching
from diffaug.params.train_cls import TrainClsParams
from diffaug.runtime.errors import UserError


def build(params: TrainClsParams, classes: int) -> nn.Module:
    """The network with its weights: random, from a .safetensors file by name and shape, or torchvision's by name.

    Raises UserError if the model or the weights are unknown.
    """
    if params.model not in torchvision.models.list_models(torchvision.models):
        known = ", ".join(name for name in torchvision.models.list_models(torchvision.models) if "resne" in name)
        raise UserError(f"params.yaml: train_cls.model: found {params.model!r}; allowed are {known}")
    model = torchvision.models.get_model(params.model, weights=None, num_classes=classes)
    if params.weights is not None:
        given = given_weights(params.model, params.weights, "train_cls.weights")
        load_matching(model, given, params.weights, "train_cls.weights")
    return model


def save_classifier(folder: Path, model: nn.Module, params: TrainClsParams, names: tuple[str, ...]) -> None:
    """Write `model.safetensors` and `model.json` (architecture, image size, class names)."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.cpu().contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors"
    )
    facts = {"model": params.model, "image_size": params.image_size, "names": list(names)}
    (folder / "model.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def load_classifier(folder: Path, device: torch.device) -> tuple[nn.Module, dict]:
    """The model in eval mode and the content of `model.json`. Raises UserError if the folder has no model."""
    try:
        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: no classifier; run `dvc repro` or `dvc pull` first") from None
    model = torchvision.models.get_model(facts["model"], weights=None, num_classes=len(facts["names"]))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.to(device).to(memory_format=torch.channels_last).eval(), facts
