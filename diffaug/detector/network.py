"""Ultralytics' detection networks: built by name, with initial weights, saved and opened without a pickle."""

# ruff: noqa: I001 - Ultralytics reads its environment when it is imported, so its home comes first.
import diffaug.detector.ultralytics_home  # noqa: F401

import copy
import json
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file
from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel, yaml_model_load

from diffaug.runtime.errors import UserError
from diffaug.params.base import Release
from diffaug.params.train_det import TrainDetParams
from diffaug.hub.weights import fetch_release, load_matching, read_weights


def build(params: TrainDetParams, names: tuple[str, ...]) -> DetectionModel:
    """The network with random weights or, matched by name and shape, those of a .safetensors file or a release.

    Raises UserError if Ultralytics knows no such model, or no tensor fits.
    """
    model = network(params.model, names)
    key = "train_det.weights"
    match params.weights:
        case str() as path:
            load_matching(model, read_weights(path, key), path, key)
        case Release() as release:
            load_matching(model, fetch_release(release.url, release.sha256, key), release.url, key)
    return model


def network(architecture: str | dict[str, Any], names: tuple[str, ...]) -> DetectionModel:
    """A YOLO or RT-DETR for these classes with random weights; `architecture`: a name, a path or model.json's content.

    Raises UserError if Ultralytics knows no such detector.
    """
    try:
        layers = yaml_model_load(architecture) if isinstance(architecture, str) else architecture
        kind = RTDETRDetectionModel if layers["head"][-1][2] == "RTDETRDecoder" else DetectionModel
        model = kind(copy.deepcopy(architecture), ch=3, nc=len(names), verbose=False)
    except (FileNotFoundError, KeyError, ValueError, TypeError, IndexError, yaml.YAMLError) as error:
        raise UserError(
            f"params.yaml: train_det.model: found {architecture!r}, which Ultralytics does not know ({error}); "
            "allowed are its architectures, such as yolo11n.yaml, yolov8s.yaml or rtdetr-l.yaml, or a .yaml file's path"
        ) from None
    if not type(model.model[-1]).__name__.endswith(("Detect", "RTDETRDecoder")):
        raise UserError(
            f"params.yaml: train_det.model: {architecture!r} is not a detector; give one, such as yolo11n.yaml"
        )
    model.names = dict(enumerate(names))
    return model


def save_detector(folder: Path, model: DetectionModel, params: TrainDetParams, names: tuple[str, ...]) -> None:
    """Write `model.safetensors` and `model.json` (architecture, image size, class names)."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    architecture = {key: value for key, value in model.yaml.items() if key != "yaml_file"}
    facts = {"model": params.model, "image_size": params.image_size, "names": list(names), "architecture": architecture}
    (folder / "model.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def open_detector(folder: Path) -> tuple[DetectionModel, dict[str, Any]]:
    """The saved network and the content of `model.json`. Raises UserError if the folder has no model."""
    try:
        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: no detector; run `dvc repro` or `dvc pull` first") from None
    model = network(facts["architecture"], tuple(facts["names"]))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval(), facts
