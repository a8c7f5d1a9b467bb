"""Ultralytics' detection networks: built by name, with initial weights, saved and opened without a pickle."""

# ruff: noqa: I001 - Ultralytics reads its environment when it is imported, so its home comes first.
import diffaug.detector.ultralytics_home  # noqa: F401

import copy
import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from ultralytics.nn.modules import Conv
from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

from diffaug.detector.architecture import check_architecture, read_architecture
from diffaug.detector.size import refuse_large
from diffaug.hub.saved import DetectorFacts, Preprocessing, load_saved, read_saved
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import seal
from diffaug.params.base import Release
from diffaug.params.train_det import TrainDetParams
from diffaug.hub.weights import fetch_release, load_matching, read_weights


def build(params: TrainDetParams, names: tuple[str, ...]) -> DetectionModel:
    """The network with random weights or, matched by name and shape, those of a .safetensors file or a release.

    Raises UserError if Ultralytics knows no such detector, or no tensor fits.
    """
    model = network(read_architecture(params.model), names, f"params.yaml: train_det.model: {params.model}")
    key = "train_det.weights"
    match params.weights:
        case str() as path:
            load_matching(model, read_weights(path, key), path, key)
        case Release() as release:
            load_matching(model, fetch_release(release.url, release.sha256, key), release.url, key)
    return model


def network(architecture: dict[str, Any], names: tuple[str, ...], where: str) -> DetectionModel:
    """A YOLO or RT-DETR for these classes with random weights; `architecture`: a checked one; `where`: for messages.

    Raises UserError if its layers do not fit each other, or it would be too large.
    """
    layers = copy.deepcopy(architecture) | {"nc": len(names)}
    kind = RTDETRDetectionModel if layers["head"][-1][2] == "RTDETRDecoder" else DetectionModel
    activation = Conv.default_act  # of the whole process; Ultralytics does not restore it when building fails
    try:
        refuse_large(layers, where)
        model = kind(layers, ch=3, nc=len(names), verbose=False)
    except UserError:
        raise
    except Exception as error:  # a layer raises whatever wrong arguments lead to
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{where}: its layers do not fit each other ({reason}); take another architecture") from None
    finally:
        Conv.default_act = activation
    model.names = dict(enumerate(names))
    return model


def save_detector(folder: Path, model: DetectionModel, params: TrainDetParams, names: tuple[str, ...]) -> None:
    """Write `model.safetensors` and `model.json` (architecture, image size, class names, preprocessing)."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    architecture = {key: value for key, value in model.yaml.items() if key != "yaml_file"}
    facts = {"model": params.model, "image_size": params.image_size, "names": list(names), "architecture": architecture}
    facts |= {"preprocessing": _preprocessing(model).model_dump()}
    (folder / "model.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    seal(folder)


def _preprocessing(model: DetectionModel) -> Preprocessing:
    """As Ultralytics prepares an image, or images of one size, for predicting."""
    if isinstance(model, RTDETRDetectionModel):
        return Preprocessing(resize="stretch", filter="bilinear")
    stride = max(int(model.stride.max()), 32)  # 32 is the least that Ultralytics pads to
    return Preprocessing(resize="letterbox", filter="bilinear", padding=114, multiple_of=stride)


def open_detector(folder: Path) -> tuple[DetectionModel, dict[str, Any]]:
    """The saved network and the content of `model.json`. Raises UserError if the folder has no model."""
    facts = read_saved(folder, DetectorFacts, "detector")
    where = f"{folder / 'model.json'}: architecture"
    model = network(check_architecture(facts.architecture, where), tuple(facts.names), where)
    load_saved(model, folder)
    return model.eval(), facts.model_dump()
