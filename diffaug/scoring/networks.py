"""Networks that turn images into features: the control's own, one of torchvision, or one of the hub."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image, ImageOps
from torch import Tensor, nn
from transformers import AutoImageProcessor, AutoModel

from diffaug.classifier.network import load_classifier
from diffaug.classifier.predicting import normalize
from diffaug.dataset.codec import to_rgb_array
from diffaug.dataset.records import Record
from diffaug.detector.predicting import embed, load_detector
from diffaug.hub.configs import read_mapping
from diffaug.hub.locate import locate_network
from diffaug.hub.opening import opening
from diffaug.hub.parts import CONFIG
from diffaug.hub.weights import given_weights, load_matching, refuse_not_finite
from diffaug.params.base import ModelName
from diffaug.params.filter import HubNetwork, Network, TorchvisionNetwork
from diffaug.runtime.errors import UserError
from diffaug.scoring.clip import open_clip
from diffaug.scoring.material import Material

_BATCH = 64
_SIDE = 224  # input size of torchvision's classifiers
_HEADS = ("fc", "classifier", "head", "heads")


class Features:
    """Features float32 (N, D) of records by one network, cached for every set."""

    def __init__(self, run: Callable[[list[Image.Image]], Tensor]) -> None:
        self._run = run
        self._known: dict[tuple[str, bool], np.ndarray] = {}

    @torch.inference_mode()
    def __call__(self, records: Sequence[Record], mirror: bool = False) -> np.ndarray:
        new = {record.sha256: record for record in records if (record.sha256, mirror) not in self._known}
        for start in range(0, len(new), _BATCH):
            batch = list(new.items())[start : start + _BATCH]
            images = [record.open().convert("RGB") for _, record in batch]
            rows = self._run([ImageOps.mirror(image) for image in images] if mirror else images).flatten(1)
            self._known |= {(sha, mirror): row for (sha, _), row in zip(batch, rows.float().cpu().numpy())}
        return np.array([self._known[record.sha256, mirror] for record in records], dtype=np.float32)


def open_network(params: Network, material: Material, key: str) -> Features:
    """The network that the parameter `key` names. Raises UserError if it cannot be opened."""
    if isinstance(params, TorchvisionNetwork):
        return Features(_torchvision(params, material.device, key))
    if isinstance(params, HubNetwork):
        return Features(_hub(params.hub, material.device, key))
    return Features(_classifier(material) if material.task == "cls" else _detector(material))


def _classifier(material: Material) -> Callable[[list[Image.Image]], Tensor]:
    model, facts = load_classifier(material.control, material.device)
    model.fc = nn.Identity()
    return lambda images: model(normalize(_stack(images, facts["image_size"], material.device)))


def _detector(material: Material) -> Callable[[list[Image.Image]], Tensor]:
    model, facts = load_detector(material.control)
    return lambda images: embed(model, images, facts["image_size"], material.device)


def check_torchvision(params: TorchvisionNetwork, key: str) -> None:
    """Raises UserError if torchvision has no such classifier."""
    known = torchvision.models.list_models(torchvision.models)
    if params.torchvision not in known:
        near = ", ".join(difflib.get_close_matches(params.torchvision, known, 3)) or "resnet50, mobilenet_v2, ..."
        raise UserError(f"params.yaml: {key}: torchvision has no classifier {params.torchvision!r}; it has {near}")


def _torchvision(params: TorchvisionNetwork, device: torch.device, key: str) -> Callable[[list[Image.Image]], Tensor]:
    check_torchvision(params, key)
    model = torchvision.models.get_model(params.torchvision, weights=None)
    load_matching(model, given_weights(params.torchvision, params.weights, key), params.weights, key)
    for head in _HEADS:
        if hasattr(model, head):
            setattr(model, head, nn.Identity())
    model.to(device).eval()
    return lambda images: model(normalize(_stack(images, _SIDE, device)))


def _hub(name: ModelName, device: torch.device, key: str) -> Callable[[list[Image.Image]], Tensor]:
    located = locate_network(name, key)
    if read_mapping(located.path / CONFIG).get("model_type") == "clip":
        return open_clip(name, device, key).images
    with opening(f"params.yaml: {key}: transformers cannot open {located.path}", located.path):
        processor = AutoImageProcessor.from_pretrained(located.path, local_files_only=True, trust_remote_code=False)
        model: Any = AutoModel.from_pretrained(
            located.path, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
        refuse_not_finite(model.state_dict(), f"params.yaml: {key}: {located.path}")
    model = model.to(device).eval()

    def run(images: list[Image.Image]) -> Tensor:
        found = model(**processor(images=images, return_tensors="pt").to(device)).last_hidden_state
        # The class token, as DINOv2's authors compare images (Oquab et al. 2023, arXiv:2304.07193). A convolutional
        # network has no class token but a feature map, of which the mean is used.
        return found[:, 0] if found.ndim == 3 else found.mean(dim=(2, 3))

    return run


def _stack(images: list[Image.Image], side: int, device: torch.device) -> Tensor:
    """uint8 (B, 3, side, side)."""
    arrays = np.stack([to_rgb_array(image, side) for image in images])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).contiguous().to(device)
