"""A torchvision ResNet: built with its initial weights, saved and opened without a pickle."""

import json
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from diffaug.classifier.predicting import PREPROCESSING
from diffaug.hub.configs import shortened
from diffaug.hub.saved import ClassifierFacts, load_saved, read_saved
from diffaug.hub.weights import given_weights, load_matching
from diffaug.params.train_cls import TrainClsParams
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import seal


def known_models() -> list[str]:
    """The ResNets of torchvision."""
    return [name for name in torchvision.models.list_models(torchvision.models) if "resne" in name]


def build(params: TrainClsParams, classes: int) -> nn.Module:
    """The network with its weights: random, from a .safetensors file by name and shape, or torchvision's by name.

    Raises UserError if the model or the weights are unknown.
    """
    if params.model not in known_models():
        known = ", ".join(known_models())
        raise UserError(f"params.yaml: train_cls.model: found {params.model!r}; allowed are {known}")
    model = torchvision.models.get_model(params.model, weights=None, num_classes=classes)
    if params.weights is not None:
        given = given_weights(params.model, params.weights, "train_cls.weights")
        load_matching(model, given, params.weights, "train_cls.weights")
    return model


def save_classifier(folder: Path, model: nn.Module, params: TrainClsParams, names: tuple[str, ...]) -> None:
    """Write `model.safetensors` and `model.json` (architecture, image size, class names, preprocessing)."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.cpu().contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors"
    )
    facts = {"model": params.model, "image_size": params.image_size, "names": list(names)}
    facts |= {"preprocessing": PREPROCESSING.model_dump()}
    (folder / "model.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    seal(folder)


def load_classifier(folder: Path, device: torch.device) -> tuple[nn.Module, dict]:
    """The model in eval mode and the content of `model.json`. Raises UserError if the folder has no model."""
    facts = read_saved(folder, ClassifierFacts, "classifier")
    if facts.model not in known_models():
        raise UserError(
            f"{folder / 'model.json'}: model: found {shortened(facts.model)}; allowed are {', '.join(known_models())}"
        )
    model = torchvision.models.get_model(facts.model, weights=None, num_classes=len(facts.names))
    load_saved(model, folder)
    return model.to(device).to(memory_format=torch.channels_last).eval(), facts.model_dump()
