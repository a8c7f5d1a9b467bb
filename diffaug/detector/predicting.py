"""What a trained detector finds in images."""

# ruff: noqa: I001 - Ultralytics reads its environment when it is imported, so its home comes first.
import diffaug.ultralytics_home  # noqa: F401

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

from diffaug.detections import MAX_DETECTIONS, Detections
from diffaug.detector.networks import open_detector
from diffaug.records import Record

MIN_CONFIDENCE = 0.001


def load_detector(folder: Path) -> tuple[Model, dict[str, Any]]:
    """The model, ready to predict in Ultralytics, and the facts of `model.json`.

    Raises UserError where the folder holds none.
    """
    LOGGER.setLevel(logging.ERROR)
    network, facts = open_detector(folder)
    # The wrapper's own network is thrown away; the kind decides how images go in and boxes come out.
    wrapper: Model = RTDETR("rtdetr-l.yaml") if isinstance(network, RTDETRDetectionModel) else YOLO("yolo11n.yaml")
    wrapper.model = network
    return wrapper, facts


def detect(yolo: Model, records: Sequence[Record], image_size: int, device: torch.device) -> list[Detections]:
    """Every image's detections down to a confidence of 0.001, at most 100 an image, in the image's own pixels."""
    found = []
    for record in tqdm(records, desc="detecting", unit="image", mininterval=1.0, leave=False):
        bgr = np.ascontiguousarray(np.asarray(record.open().convert("RGB"))[..., ::-1])
        boxes = yolo.predict(
            bgr, imgsz=image_size, conf=MIN_CONFIDENCE, max_det=MAX_DETECTIONS, device=device.type, verbose=False
        )[0].boxes.cpu()
        found.append(Detections(boxes.xyxy.numpy(), boxes.conf.numpy(), boxes.cls.numpy().astype(np.int64)))
    return found


def embed(yolo: Model, images: Sequence[Image.Image], image_size: int, device: torch.device) -> torch.Tensor:
    """Features float32 (N, D) of RGB images: the network's last layer before its head, averaged over the picture."""
    bgr = [np.ascontiguousarray(np.asarray(image)[..., ::-1]) for image in images]
    return torch.stack([yolo.embed(one, imgsz=image_size, device=device.type, verbose=False)[0].cpu() for one in bgr])
