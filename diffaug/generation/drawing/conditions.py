"""The condition images of a ControlNet: the edges, depth or regions of a real image, as an RGB image."""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from diffaug.diffusion.networks import find_controlnet, open_controlnet
from diffaug.diffusion.opening import Model
from diffaug.generation.drawing.palette import ADE20K
from diffaug.hub.locate import Located, locate_network
from diffaug.hub.opening import opening
from diffaug.hub.weights import refuse_not_finite
from diffaug.params.generate import ControlNet
from diffaug.runtime.errors import UserError

_KEY = "generate.cls.modes.controlnet"
_KEPT = 256  # images


@dataclass(frozen=True)
class FoundControl:
    """The files of a ControlNet, and of the network that makes its condition images (edges need none)."""

    mode: ControlNet
    located: Located
    condition: Located | None

    def fingerprint(self) -> str:
        """Everything in it that can change a pixel."""
        mode, condition = self.mode, self.condition.sha256 if self.condition else ""
        return f"{self.located.sha256} {condition} {mode.condition} {mode.canny} {mode.scale}"


def find_control(mode: ControlNet | None) -> FoundControl | None:
    """The files that a mode needs, None if it is not in use. Raises UserError if they are missing or pickled."""
    if mode is None:
        return None
    drawn = mode.condition_model if mode.condition != "canny" else None
    condition = locate_network(drawn, f"{_KEY}.condition_model") if drawn is not None else None
    return FoundControl(mode, find_controlnet(mode.model, f"{_KEY}.model"), condition)


class Conditions:
    """Makes the condition images of one ControlNet mode; `network`: the files of what makes them, None for edges."""

    def __init__(self, mode: ControlNet, network: Located | None, device: torch.device) -> None:
        self.mode = mode
        self.device = device
        self._memory: OrderedDict[str, Image.Image] = OrderedDict()
        if network is not None:
            self._processor, self._network = _open(mode.condition, network.path, device)

    def picture(self, name: str, image: Image.Image) -> Image.Image:
        """The condition of an image ("L" or "RGB", at the model's size), RGB, of its size; `name`: its cache key."""
        if name not in self._memory:
            rgb = image.convert("RGB")
            if self.mode.condition == "canny":
                drawn = canny(rgb, *(self.mode.canny or (100, 200)))
            else:
                drawn = self._predict(rgb)
            self._memory[name] = drawn
        self._memory.move_to_end(name)
        while len(self._memory) > _KEPT:
            self._memory.popitem(last=False)
        return self._memory[name]

    @torch.no_grad()
    def _predict(self, image: Image.Image) -> Image.Image:
        inputs = self._processor(images=image, return_tensors="pt").to(self.device)
        outputs = self._network(**inputs)
        size = [(image.height, image.width)]
        if self.mode.condition == "depth":
            depth = self._processor.post_process_depth_estimation(outputs, target_sizes=size)[0]["predicted_depth"]
            return depth_picture(depth.float().cpu().numpy())
        labels = self._processor.post_process_semantic_segmentation(outputs, target_sizes=size)[0]
        return region_picture(labels.cpu().numpy())


@dataclass(frozen=True)
class Control:
    """An open ControlNet, its condition images, and its scale."""

    network: Any
    conditions: Conditions
    scale: float


def open_control(found: FoundControl, model: Model) -> Control:
    """The ControlNet for this model, on its device. Raises UserError if it is damaged, or does not fit the model."""
    dtype, device = model.found.dtype, model.found.device
    network = open_controlnet(found.mode.model, model.pipeline, f"{_KEY}.model", dtype)
    return Control(network.to(device), Conditions(found.mode, found.condition, device), found.mode.scale)


def canny(image: Image.Image, low: int, high: int) -> Image.Image:
    """White edges on black (Canny 1986), RGB; `low`, `high`: thresholds of the gradient, 0 to 1000."""
    edges = cv2.Canny(np.asarray(image.convert("L")), low, high)
    return Image.fromarray(edges).convert("RGB")


def depth_picture(depth: np.ndarray) -> Image.Image:
    """Float (H, W), larger is nearer, as RGB from black (farthest) to white (nearest)."""
    span = float(depth.max() - depth.min())
    grey = (depth - depth.min()) / span if span > 0 else np.zeros_like(depth)
    return Image.fromarray(np.round(255 * grey).astype(np.uint8)).convert("RGB")


def region_picture(labels: np.ndarray) -> Image.Image:
    """Class numbers (H, W) of ADE20K (0 to 149) in its colours, with which segmentation ControlNets are trained."""
    if labels.min() < 0 or labels.max() >= len(ADE20K):
        raise UserError(
            f"params.yaml: {_KEY}.condition_model: it predicts class numbers from "
            f"{labels.min()} to {labels.max()}; take a model that segments the {len(ADE20K)} classes of ADE20K"
        )
    return Image.fromarray(np.array(ADE20K, dtype=np.uint8)[labels])


def _open(condition: str, folder: Path, device: torch.device) -> tuple[Any, Any]:
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation, AutoModelForSemanticSegmentation

    kind = AutoModelForDepthEstimation if condition == "depth" else AutoModelForSemanticSegmentation
    key = f"params.yaml: {_KEY}.condition_model"
    with opening(f"{key}: transformers cannot open {folder} as a {condition} model", folder):
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        network, report = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, trust_remote_code=False
        )
        missing = set(report["missing_keys"])
        filled = {name.partition(".")[0] for name in set(network.state_dict()) - missing}
        if absent := sorted({name.partition(".")[0] for name in missing} - filled):
            raise ValueError(f"it has no weights for {absent[0]}")  # the library would initialise them at random
        refuse_not_finite(network.state_dict(), f"{key}: {folder}")
    return processor, network.to(device).eval()
