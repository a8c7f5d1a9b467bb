"""The aesthetic score of an image: LAION's predictor v2 on CLIP ViT-L/14 (github.com/christophschuhmann/
improved-aesthetic-predictor)."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from diffaug.hub.configs import read_mapping
from diffaug.hub.locate import Located, locate_network
from diffaug.hub.parts import CONFIG
from diffaug.hub.weights import fetch_release, read_weights, refuse_not_finite
from diffaug.params.base import Release
from diffaug.params.filter import Aesthetic
from diffaug.runtime.errors import UserError
from diffaug.scoring.clip import ClipImages, open_clip, open_clip_images
from diffaug.scoring.material import Columns, Material

MEASURED_BY = ("model", "head")
_LAYER = re.compile(r"layers\.(\d+)\.(weight|bias)")
# The numbers of the linear layers in the predictor's two layouts. Between those of the first is only dropout, which is
# off; between those of the second are ReLUs too.
_LINEAR, _WITH_RELU = (0, 2, 4, 6, 7), (0, 3, 6, 9, 11)
_KNOWN = "sac+logos+ava1-l14-linearMSE"


def measure(material: Material, params: Aesthetic) -> Columns:
    """aesthetic: about 1 to 10; above 6 is what LAION calls its aesthetic subset."""
    if not len(material.generated):
        return {"aesthetic": []}
    key = f"filter.{material.task}.aesthetic"
    encoder, head = open_predictor(params, material.device, key)
    vectors = encoder.records(material.generated.records, material, "aesthetic")
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


def open_predictor(params: Aesthetic, device: torch.device, key: str) -> tuple[ClipImages, nn.Sequential]:
    """What reads images, and the head: of a CLIP and a file, or of one folder with both. Raises UserError."""
    if params.head is not None:
        weights = (
            fetch_release(params.head.url, params.head.sha256, f"{key}.head")
            if isinstance(params.head, Release)
            else read_weights(params.head, f"{key}.head")
        )
        return open_clip(params.model, device, f"{key}.model"), build_head(weights, f"{key}.head")
    located = locate_network(params.model, f"{key}.model")
    head = build_head(_layers_of(located), f"{key}.model: {located.path}")
    if read_mapping(located.path / CONFIG).get("model_type") == "clip":
        return open_clip(params.model, device, f"{key}.model"), head
    return open_clip_images(located.path, device, f"{key}.model"), head


def _layers_of(located: Located) -> dict[str, Tensor]:
    """The tensors of a folder that belong to the head."""
    found: dict[str, Tensor] = {}
    for path in sorted(located.path.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            found |= {name: file.get_tensor(name) for name in file.keys() if name.startswith("layers.")}  # noqa: SIM118
    return found


def build_head(weights: Mapping[str, Tensor], key: str) -> nn.Sequential:
    """The linear layers of the file, `layers.N.weight` and `.bias`. Raises UserError if it is not the predictor's
    layout without ReLUs."""
    refuse_not_finite(weights, f"params.yaml: {key}")
    named = [_LAYER.fullmatch(name) for name in weights]
    numbers = tuple(sorted({int(match[1]) for match in named if match}))
    if numbers == _WITH_RELU:
        raise UserError(
            f"params.yaml: {key}: a head with ReLUs between its layers (0, 3, 6, 9, 11), which is not supported; take "
            f"{_KNOWN}"
        )
    if not all(named) or numbers != _LINEAR:
        found = ", ".join(map(str, numbers)) or "none"
        raise UserError(
            f"params.yaml: {key}: not the head of LAION's predictor: expected the layers 0, 2, 4, 6, 7 and nothing "
            f"else, found the layers {found} in {len(weights)} tensors; take {_KNOWN}"
        )
    try:
        layers = [_layer(weights, number) for number in numbers]
    except (IndexError, KeyError, RuntimeError):
        raise UserError(f"params.yaml: {key}: a layer has no weight, no bias, or not as many of both") from None
    sizes = [(layer.in_features, layer.out_features) for layer in layers]
    if any(before != after for (_, before), (after, _) in pairwise(sizes)) or sizes[-1][1] != 1:
        raise UserError(f"params.yaml: {key}: its layers do not follow each other to one number, found {sizes}")
    return nn.Sequential(*layers).eval()


def _layer(weights: Mapping[str, Tensor], number: int) -> nn.Linear:
    weight, bias = weights[f"layers.{number}.weight"], weights[f"layers.{number}.bias"]
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    return layer
