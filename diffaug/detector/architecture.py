"""A detector's architecture as data: read and checked before Ultralytics sees it, which evaluates its texts as code."""

import importlib.util
import re
from pathlib import Path
from typing import Any

from diffaug.hub.configs import MAX_CLASSES, shortened
from diffaug.runtime.errors import UserError
from diffaug.runtime.yaml_files import read_yaml

MAX_ROWS = 200  # the longest of Ultralytics' own has 43
MAX_LAYERS = 500  # with repeats; 121 in YOLOv5x
MAX_NUMBER = 4096  # of an argument: channels, queries
HEADS = ("Detect", "v10Detect", "RTDETRDecoder")
# The layers of Ultralytics' detection networks and their relatives. None of them reads a file or runs a text.
_LAYERS = (
    *("A2C2f", "ADown", "AIFI", "AConv", "Bottleneck", "BottleneckCSP", "C1", "C2", "C2PSA", "C2f", "C2fCIB", "C2fPSA"),
    *("C3", "C3Ghost", "C3TR", "C3k2", "C3x", "CBFuse", "CBLinear", "Concat", "Conv", "ConvTranspose", "DWConv"),
    *("DWConvTranspose2d", "ELAN1", "Focus", "GhostBottleneck", "GhostConv", "HGBlock", "HGStem", "PSA", "RepC3"),
    *("RepNCSPELAN4", "ResNetLayer", "SCDown", "SPP", "SPPELAN", "SPPF", "nn.AvgPool2d", "nn.BatchNorm2d"),
    *("nn.ConvTranspose2d", "nn.Identity", "nn.MaxPool2d", "nn.Upsample", "nn.ZeroPad2d"),
)
_TEXTS = ("None", "True", "False", "nc", "nearest", "bilinear")
_ACTIVATION = re.compile(
    r"(torch\.)?nn\.(SiLU|ReLU|ReLU6|LeakyReLU|PReLU|ELU|SELU|CELU|GELU|Mish|Hardswish|Sigmoid|Tanh|Softplus|Identity)"
    r"\((\d{1,3}(\.\d{1,9})?)?(, ?)?(inplace=(True|False))?\)"
)
_KEYS = (
    *("nc", "scales", "scale", "depth_multiple", "width_multiple", "activation", "backbone", "head"),
    *("reg_max", "end2end", "inplace", "channels"),
)
_NAMES = "allowed are its detectors, such as yolo11n.yaml, yolov8s.yaml or rtdetr-l.yaml, or the path of a .yaml file"


def read_architecture(name: str) -> dict[str, Any]:
    """The checked architecture of a name such as yolo11n.yaml, or of a user's file, found as Ultralytics finds it.

    Raises UserError if there is none, or if it is not only data.
    """
    path = _whole_name(Path(name))
    found = _find(path) or _find(Path(re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", str(path))))
    key = "params.yaml: train_det.model"
    if found is None:
        raise UserError(f"{key}: found {name!r}, which is no file and no architecture of Ultralytics; {_NAMES}")
    size = re.search(r"yolo(e-)?v?\d+([nslmx])", path.stem)
    return check_architecture(_read(found) | {"scale": size[2] if size else ""}, f"{key}: {name}")


def check_architecture(layers: Any, where: str) -> dict[str, Any]:
    """A copy of an architecture that holds only known layers, and numbers in sane ranges; `where`: for the messages.

    Raises UserError with the key, what was found, and what is allowed.
    """
    if not isinstance(layers, dict):
        raise _refused(where, "it", layers, "a mapping with backbone and head")
    if unknown := [key for key in layers if key not in _KEYS and key != "yaml_file"]:
        raise _refused(where, "a key", unknown[0], f"only {', '.join(_KEYS)}")
    checked = {key: value for key, value in layers.items() if key != "yaml_file"}
    _check_settings(checked, where)
    depth = _check_scales(checked, where)
    checked["backbone"], checked["head"] = _check_rows(checked, where, depth)
    return checked


def _whole_name(path: Path) -> Path:
    """yolov5x6.yaml is yolov5x-p6.yaml, and yolov5nu.yaml is yolov5n.yaml."""
    if re.fullmatch(r"yolov[58][nsmlx]6", path.stem):
        return path.with_name(f"{path.stem[:-1]}-p6{path.suffix}")
    return path.with_name(re.sub(r"^(yolov[35].*)u\.yaml$", r"\1.yaml", path.name))


def _find(path: Path) -> Path | None:
    """The file: the user's, or that of this name in the installed Ultralytics, which is not imported."""
    if path.is_file():
        return path
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or spec.origin is None or path.name != str(path):
        return None
    own = (Path(spec.origin).parent / "cfg/models").rglob("*.yaml")
    return next((one for one in own if one.name == path.name), None)


def _read(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise _refused(str(path), "it", content, "a mapping with backbone and head")
    return {key: None if value == "None" else value for key, value in content.items()}


def _check_settings(layers: dict[str, Any], where: str) -> None:
    for key, low, high in (("nc", 1, MAX_CLASSES), ("reg_max", 1, 64), ("channels", 3, 3)):
        if key in layers and not (_is_whole(layers[key]) and low <= layers[key] <= high):
            raise _refused(where, key, layers[key], f"a whole number from {low} to {high}")
    for key in ("end2end", "inplace"):
        if layers.get(key) not in (None, True, False) or _is_whole(layers.get(key)):
            raise _refused(where, key, layers[key], "true or false")
    activation = layers.get("activation")
    if activation is not None and not (isinstance(activation, str) and _ACTIVATION.fullmatch(activation)):
        raise _refused(where, "activation", activation, "one of torch's, such as nn.SiLU() or nn.LeakyReLU(0.1)")


def _check_scales(layers: dict[str, Any], where: str) -> float:
    """The factor of the repeats."""
    for key in ("depth_multiple", "width_multiple"):
        if key in layers and not _is_number(layers[key], 0.01, 4):
            raise _refused(where, key, layers[key], "a number from 0.01 to 4")
    scales, scale = layers.get("scales"), layers.get("scale")
    if not (scale is None or isinstance(scale, str)):
        raise _refused(where, "scale", scale, "a text")
    if not scales:
        if scales is not None:
            raise _refused(where, "scales", scales, "a mapping to [depth, width, max_channels]")
        return layers.get("depth_multiple", 1.0)
    if not (isinstance(scales, dict) and len(scales) <= 20 and all(isinstance(name, str) for name in scales)):
        raise _refused(where, "scales", scales, "a mapping to [depth, width, max_channels]")
    for name, values in scales.items():
        sizes = isinstance(values, list) and len(values) == 3 and all(_is_number(one, 0.01, 4) for one in values[:2])
        if not (sizes and _is_number(values[2], 1, 2 * MAX_NUMBER)):
            raise _refused(where, f"scales.{name[:20]}", values, "[depth, width, max_channels], up to 4, 4 and 8192")
    if scale and scale not in scales:
        raise _refused(where, "scale", scale, f"{', '.join(scales)}")
    return scales[scale or next(iter(scales))][0]


def _check_rows(layers: dict[str, Any], where: str, depth: float) -> tuple[list[Any], list[Any]]:
    """Copies of the rows of backbone and head."""
    checked: dict[str, list[Any]] = {}
    number, total = 0, 0
    for key in ("backbone", "head"):
        rows = layers.get(key)
        if not (isinstance(rows, list) and 0 < len(rows) <= MAX_ROWS):
            raise _refused(where, key, rows, f"a list of 1 to {MAX_ROWS} layers, [from, repeats, module, args] each")
        for place, row in enumerate(rows):
            last = key == "head" and place == len(rows) - 1
            _check_row(row, f"{where}: {key}[{place}]", number, last)
            total += max(round(row[1] * depth), 1)
            number += 1
        checked[key] = [[*row[:3], _copied(row[3])] for row in rows]
    if total > MAX_LAYERS:
        raise _refused(where, "backbone and head", total, f"at most {MAX_LAYERS} layers, repeats counted")
    return checked["backbone"], checked["head"]


def _check_row(row: Any, where: str, number: int, last: bool) -> None:
    if not (isinstance(row, list) and len(row) == 4):
        raise _refused(where, "it", row, "[from, repeats, module, args]")
    origin, repeats, module, arguments = row
    origins = origin if isinstance(origin, list) else [origin]
    if not (0 < len(origins) <= 32 and all(_is_whole(one) and -max(number, 1) <= one < number for one in origins)):
        raise _refused(where, "from", origin, f"layers before it, below {number}, or -1 for the last")
    if not (_is_whole(repeats) and 1 <= repeats <= MAX_LAYERS):
        raise _refused(where, "repeats", repeats, f"a whole number from 1 to {MAX_LAYERS}")
    allowed = HEADS if last else _LAYERS
    if not (isinstance(module, str) and module in allowed):
        raise _refused(where, "module", module, f"{'in the last layer ' if last else ''}{', '.join(allowed)}")
    if not (isinstance(arguments, list) and _are_arguments(arguments)):
        few = f"numbers up to {MAX_NUMBER}, true, false, null, lists of them, {', '.join(_TEXTS)}"
        raise _refused(where, "args", arguments, few)


def _are_arguments(values: list[Any], depth: int = 1) -> bool:
    return len(values) <= 32 and all(
        (depth < 3 and _are_arguments(one, depth + 1))
        if isinstance(one, list)
        else one in _TEXTS
        if isinstance(one, str)
        else one is None or isinstance(one, bool) or _is_number(one, -MAX_NUMBER, MAX_NUMBER)
        for one in values
    )


def _copied(values: list[Any]) -> list[Any]:
    return [_copied(one) if isinstance(one, list) else one for one in values]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high  # not of NaN


def _refused(where: str, key: str, value: Any, allowed: str) -> UserError:
    found = " ".join(str(value).split()) if isinstance(value, list) and _are_arguments(value) else shortened(value)
    return UserError(f"{where}: {key}: found {found}; allowed is {allowed}")
