"""A trained detector as a checkpoint of Ultralytics, and as an ONNX file."""

# ruff: noqa: I001 - Ultralytics reads its environment when it is imported, so its home comes first.
import diffaug.detector.ultralytics_home  # noqa: F401

import logging
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import ultralytics
from ultralytics import YOLO
from ultralytics.utils import LOGGER

from diffaug.detector.network import open_detector
from diffaug.runtime.files import atomic_path


def write_checkpoint(folder: Path, target: Path) -> None:
    """Write a .pt file that opens in `YOLO(...)` and predicts at the size of the training, with the class names.

    Raises UserError if the folder has no model.
    """
    model, facts = open_detector(folder)
    settings = {"task": "detect", "model": facts["model"], "imgsz": facts["image_size"]}
    content = {"model": model, "ema": None, "train_args": settings, "version": ultralytics.__version__, "epoch": -1}
    with atomic_path(target) as temporary:
        torch.save(content, temporary)


def write_detector_onnx(folder: Path, target: Path) -> None:
    """Write the network as Ultralytics exports it, for one image, padded to a square of the size of the training: of
    another size, `YOLO(...)` would take 640 pixels. Raises UserError if the folder has no model.
    """
    LOGGER.setLevel(logging.ERROR)
    quiet = warnings.catch_warnings(action="ignore")
    with TemporaryDirectory() as place, atomic_path(target) as temporary, quiet:
        checkpoint = Path(place) / "model.pt"
        write_checkpoint(folder, checkpoint)
        yolo = YOLO(checkpoint)
        size = yolo.overrides["imgsz"]
        written = yolo.export(format="onnx", simplify=False, imgsz=size, device="cpu", verbose=False)
        shutil.copyfile(written, temporary)
