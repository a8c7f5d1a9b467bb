"""A small detector as Ultralytics describes one."""

import copy
import json
from pathlib import Path
from typing import Any

SMALL: dict[str, Any] = {
    "nc": 2,
    "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "Conv", [16, 3, 2]], [-1, 1, "C2f", [16, True]]],
    "head": [[[0, 1, 2], 1, "Detect", ["nc"]]],
}


def small(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(SMALL) | changes


def as_yaml(folder: Path, layers: dict[str, Any]) -> str:
    (folder / "own.yaml").write_text(json.dumps(layers), encoding="utf-8")  # JSON is YAML
    return str(folder / "own.yaml")
