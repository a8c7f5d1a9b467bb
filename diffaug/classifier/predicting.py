"""Predictions of a trained classifier."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from diffaug.dataset.codec import to_rgb_array
from diffaug.dataset.records import ImageSet
from diffaug.hub.saved import Preprocessing

# ImageNet's mean and deviation, which torchvision's weights expect.
PREPROCESSING = Preprocessing(
    resize="stretch", filter="lanczos", mean=[0.485, 0.456, 0.406], deviation=[0.229, 0.224, 0.225]
)


@dataclass(frozen=True)
class Tensors:
    """A whole set on the device: `images` uint8 (N, 3, S, S), `labels` int64 (N,)."""

    images: Tensor
    labels: Tensor


def to_tensors(images: ImageSet, size: int, device: torch.device) -> Tensors:
    """All images of a set, scaled to size x size, on the device."""
    arrays = np.stack([to_rgb_array(record.open(), size) for record in images])
    labels = torch.tensor([record.label for record in images])
    return Tensors(torch.from_numpy(arrays).permute(0, 3, 1, 2).contiguous().to(device), labels.to(device))


def normalize(pixels: Tensor) -> Tensor:
    """Levels 0 to 255 (B, 3, S, S) to float32 with ImageNet's mean and deviation."""
    given = (PREPROCESSING.mean, PREPROCESSING.deviation)
    mean, std = (torch.tensor(value, device=pixels.device)[:, None, None] for value in given)
    return ((pixels.float() / 255 - mean) / std).to(memory_format=torch.channels_last)


@torch.inference_mode()
def predict_logits(model: nn.Module, images: Tensor, batch_size: int = 256) -> Tensor:
    """Logits (N, classes) of uint8 images (N, 3, S, S)."""
    model.eval()
    return torch.cat([model(normalize(batch)).float() for batch in images.split(batch_size)])
