"""The repository's parameters, with changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from paths import ROOT
from project import merged

from diffaug.params import Params


def params(**changes: object) -> Params:
    """The checked parameters of params.yaml, with these changes merged into their sections."""
    return Params.model_validate(merged(raw(), changes))


def raw() -> dict[str, Any]:
    """The content of params.yaml."""
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def trained_here(images: str = "pool") -> dict[str, Any]:
    """The content of params.yaml with a generator that is trained from random weights on these images."""
    changes = {
        "download": {"unseen_by": None},
        "train_gen": {"method": "scratch", "images": images},
        "generate": {"model": {"name": "models/generator"}},
    }
    return merged(raw(), changes)


def edited(tmp_path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """A params.yaml: that of `trained_here`, changed by `edit`."""
    content = trained_here()
    edit(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
