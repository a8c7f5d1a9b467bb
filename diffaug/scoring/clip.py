"""CLIP (Radford et al. 2021, arXiv:2103.00020): images and texts as unit vectors in one space."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoImageProcessor, AutoProcessor, CLIPModel, CLIPVisionModelWithProjection

from diffaug.dataset.records import Record
from diffaug.hub.locate import locate_network
from diffaug.hub.opening import opening
from diffaug.hub.weights import refuse_not_finite
from diffaug.params.base import ModelName
from diffaug.scoring.material import Material

_BATCH = 64


class ClipImages:
    """The half of CLIP that reads images, on the device."""

    def __init__(self, features: Callable[..., Any], processor: Any, device: torch.device) -> None:
        self._features, self._processor, self._device = features, processor, device

    @torch.inference_mode()
    def images(self, images: list[Image.Image]) -> Tensor:
        """Unit vectors float32 (N, D)."""
        inputs = self._processor(images=images, return_tensors="pt").to(self._device)
        return F.normalize(_vectors(self._features(**inputs)), dim=1)

    def records(self, records: Sequence[Record], material: Material, score: str) -> Tensor:
        """Unit vectors float32 (N, D) of all images, on the CPU."""
        found, waiting = [], []
        for number, record in enumerate(material.progress(score, records), 1):
            waiting.append(record.open().convert("RGB"))
            if len(waiting) == _BATCH or number == len(records):
                found.append(self.images(waiting).cpu())
                waiting = []
        return torch.cat(found) if found else torch.empty(0, 0)


class Clip(ClipImages):
    """A CLIP model on the device; `scale`: the factor of cosines before the softmax."""

    def __init__(self, model: Any, processor: Any, device: torch.device) -> None:
        self._model = model.to(device).eval()
        super().__init__(model.get_image_features, processor, device)
        self.scale = model.logit_scale.detach().exp().item()

    @torch.inference_mode()
    def texts(self, texts: list[str]) -> Tensor:
        """Unit vectors float32 (N, D); longer texts than the model's limit are cut off."""
        inputs = self._processor(text=texts, return_tensors="pt", padding=True, truncation=True).to(self._device)
        return F.normalize(_vectors(self._model.get_text_features(**inputs)), dim=1)


def open_clip(name: ModelName, device: torch.device, key: str) -> Clip:
    """The model that the parameter `key` names. Raises UserError if it is not a CLIP model."""
    located = locate_network(name, key)
    with opening(f"params.yaml: {key}: transformers cannot open {located.path} as a CLIP", located.path):
        processor = AutoProcessor.from_pretrained(located.path, local_files_only=True, trust_remote_code=False)
        model = CLIPModel.from_pretrained(located.path, local_files_only=True, use_safetensors=True)
        refuse_not_finite(model.state_dict(), f"params.yaml: {key}: {located.path}")
    return Clip(model, processor, device)


def open_clip_images(folder: Path, device: torch.device, key: str) -> ClipImages:
    """The half that reads images, of a folder that has only this (`CLIPVisionModelWithProjection`). Raises UserError if
    it is none."""
    with opening(
        f"params.yaml: {key}: transformers cannot open {folder} as the half of CLIP that reads images", folder
    ):
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = CLIPVisionModelWithProjection.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        refuse_not_finite(model.state_dict(), f"params.yaml: {key}: {folder}")
    return ClipImages(model.to(device).eval(), processor, device)


def _vectors(found: Any) -> Tensor:
    if isinstance(found, Tensor):
        return found.float()
    projected = getattr(found, "image_embeds", None)
    return (found.pooler_output if projected is None else projected).float()
