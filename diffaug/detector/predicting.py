"""Detections of a trained detector."""

# ruff: noqa: I001 - Ultralytics reads its environment when it is imported, so its home comes first.
import diffaug.detector.ultralytics_home  # noqa: F401

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm
from ultralytics import RTDETR, YOLO
from ultralytics.engine.model import Model
from ultralytics.nn.tasks import RTDETRDetectionModel
from ultralytics.utils import LOGGER

from diffaug.detector.detections import MAX_DETECTIONS, Detections
from diffaug.detector.network import open_detector
from diffaug.dataset.codec import to_rgb_array
from diffaug.dataset.records import Record

MIN_CONFIDENCE = 0.001
# Ultralytics silently drops the boxes of a batch that takes longer than 2 s plus 0.05 s per image; such a batch stays
# far below this limit.
_BATCH = 16


def load_detector(folder: Path) -> tuple[Model, dict[str, Any]]:
    """The model, ready to predict in Ultralytics, and the content of `model.json`.

    Raises UserError if the folder has no model.
    """
    LOGGER.setLevel(logging.ERROR)
    network, facts = open_detector(folder)
    # The wrapper's own network is replaced; the wrapper's kind decides the input and output processing.
    wrapper: Model = RTDETR("rtdetr-l.yaml") if isinstance(network, RTDETRDetectionModel) else YOLO("yolo11n.yaml")
    wrapper.model = network
    return wrapper, facts


def detect(yolo: Model, records: Sequence[Record], image_size: int, device: torch.device) -> list[Detections]:
    """Every image's detections down to a confidence of 0.001, at most 100 per image, in pixels of the image."""
    found: list[Detections] = []
    with tqdm(total=len(records), desc="detecting", unit="image", mininterval=1.0, leave=False) as bar:
        for start in range(0, len(records), _BATCH):
            some = [to_rgb_array(record.open()) for record in records[start : start + _BATCH]]
            found += detect_arrays(yolo, some, image_size, device)
            bar.update(len(some))
    return found


def detect_arrays(yolo: Model, images: Sequence[np.ndarray], image_size: int, device: torch.device) -> list[Detections]:
    """The same for RGB pixels, uint8 (H, W, 3) each. A batch holds images of one size only: Ultralytics would pad
    others to a square, and find other objects than in each image alone."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for place, image in enumerate(images):
        by_size.setdefault(image.shape, []).append(place)
    found: dict[int, Detections] = {}
    for places in by_size.values():
        for start in range(0, len(places), _BATCH):
            batch = places[start : start + _BATCH]
            found |= zip(batch, _detect_batch(yolo, [images[place] for place in batch], image_size, device))
    return [found[place] for place in range(len(images))]


def _detect_batch(yolo: Model, images: Sequence[np.ndarray], image_size: int, device: torch.device) -> list[Detections]:
    found = yolo.predict(
        [_bgr(one) for one in images],
        imgsz=image_size,
        conf=MIN_CONFIDENCE,
        max_det=MAX_DETECTIONS,
        device=device.type,
        verbose=False,
    )
    every = [one.boxes.cpu() for one in found]
    return [Detections(one.xyxy.numpy(), one.conf.numpy(), one.cls.numpy().astype(np.int64)) for one in every]


def _bgr(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels[..., ::-1])


def embed(yolo: Model, images: Sequence[Image.Image], image_size: int, device: torch.device) -> torch.Tensor:
    """Features float32 (N, D) of RGB images: the network's last layer before its head, averaged over the image."""
    bgr = [_bgr(np.asarray(image)) for image in images]
    return torch.stack([yolo.embed(one, imgsz=image_size, device=device.type, verbose=False)[0].cpu() for one in bgr])
