"""The aesthetic score of an image: LAION's predictor v2 on CLIP ViT-L/14 (github.com/christophschuhmann/
improved-aesthetic-predictor)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diffaug.hub.weights import fetch_release, read_weights, refuse_not_finite
from diffaug.params.base import Release
from diffaug.params.filter import Aesthetic
from diffaug.runtime.errors import UserError
from diffaug.scoring.clip import open_clip
from diffaug.scoring.material import Columns, Material

MEASURED_BY = ("model", "head")


def measure(material: Material, params: Aesthetic) -> Columns:
    """aesthetic: about 1 to 10; above 6 is what LAION calls its aesthetic subset."""
    if not len(material.generated):
        return {"aesthetic": []}
    key = f"filter.{material.task}.aesthetic"
    weights = (
        fetch_release(params.head.url, params.head.sha256, f"{key}.head")
        if isinstance(params.head, Release)
        else read_weights(params.head, f"{key}.head")
    )
    head = build_head(weights, f"{key}.head")
    clip = open_clip(params.model, material.device, f"{key}.model")
    vectors = clip.records(material.generated.records, material, "aesthetic")
    if vectors.shape[1] != head[0].in_features:
        raise UserError(
            f"params.yaml: {key}.head: takes vectors of {head[0].in_features} numbers, but {params.model.name} gives "
            f"{vectors.shape[1]}; LAION's head needs CLIP ViT-L/14"
        )
    with torch.inference_mode():
        return {"aesthetic": head(vectors)[:, 0].tolist()}


def failures(row: Mapping[str, Any], params: Aesthetic) -> Iterator[tuple[str, bool]]:
    """The checks of the image, from its row of the ledger: reason, and whether it fails."""
    yield "not pleasing", row["aesthetic"] < params.min


def build_head(weights: Mapping[str, Tensor], key: str) -> nn.Sequential:
    """The linear layers of the file, `layers.N.weight` and `.bias` in the order of N; between them, the predictor has
    only dropout, which is off. Raises UserError if the file has no such layers."""
    refuse_not_finite(weights, f"params.yaml: {key}")
    try:
        layers = _layers(weights)
    except (IndexError, KeyError, ValueError, RuntimeError):
        raise UserError(
            f"params.yaml: {key}: not a predictor's head: no layers.N.weight and layers.N.bias that follow each other"
        ) from None
    if not layers or layers[-1].out_features != 1:
        raise UserError(f"params.yaml: {key}: not a predictor's head: no layers.N.weight that end in one number")
    return nn.Sequential(*layers).eval()


def _layers(weights: Mapping[str, Tensor]) -> list[nn.Linear]:
    layers: list[nn.Linear] = []
    for number in sorted(int(name.split(".")[1]) for name in weights if re.fullmatch(r"layers\.\d+\.weight", name)):
        weight, bias = weights[f"layers.{number}.weight"], weights[f"layers.{number}.bias"]
        if layers and weight.shape[1] != layers[-1].out_features:
            raise ValueError
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight.float(), "bias": bias.float()})
        layers.append(layer)
    return layers
