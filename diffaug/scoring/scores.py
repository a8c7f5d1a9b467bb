"""The scores, named like their sections in the params; computed once and kept until their input changes."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from diffaug.params.base import Section, is_local
from diffaug.params.filter import NOT_SCORES, ClsChecks, DetChecks
from diffaug.runtime import code
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path, file_sha256
from diffaug.scoring.material import Columns, Material

_LIBRARIES = (
    *("imagehash", "opencv-python-headless", "pillow", "scikit-image", "torch", "torchvision", "transformers"),
    "ultralytics-opencv-headless",
)


class Score(Protocol):
    """A module of this folder. MEASURED_BY: the fields of its section that change the measured values; the others only
    select. One with thresholds that can be `auto` also has AUTO, their largest values then, and `measure_real`."""

    @property
    def MEASURED_BY(self) -> tuple[str, ...]: ...

    def measure(self, material: Material, params: Any) -> Columns: ...

    def failures(self, row: Mapping[str, Any], params: Any) -> Iterator[tuple[str, bool]]: ...


def score_module(name: str) -> Score:
    """The score of a section: the module of this folder with its name. Modules are imported only when used, since some
    load a network."""
    module: Any = import_module(f"diffaug.scoring.{name}")
    return module


def active(checks: ClsChecks | DetChecks) -> dict[str, Section]:
    """The given sections, in the order in which their reasons apply."""
    return {name: section for name, section in checks if section is not None and name not in NOT_SCORES}


def measured(name: str, section: Section | None, material: Material, work: Path) -> Columns:
    """The score's columns: from the last run in `work`, if nothing that they depend on has changed."""
    return _kept(name, score_module(name).measure, section, material, work)


def measured_real(name: str, section: Section, material: Material, work: Path) -> Columns:
    """What real train images have of the thresholds of this section that can be `auto`, kept likewise."""
    score: Any = score_module(name)
    return _kept(name, score.measure_real, section, material, work)


def _kept(
    name: str, measure: Callable[[Material, Any], Columns], section: Section | None, material: Material, work: Path
) -> Columns:
    settings = section.model_dump(mode="json", include=set(score_module(name).MEASURED_BY)) if section else {}
    inputs = [name, settings, list(_local_files(settings)), material.key, *_made_by(name)]
    key = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
    path = work / f"{material.task}-{name}-{measure.__name__}.json"
    if path.exists():
        with contextlib.suppress(ValueError, KeyError, TypeError):  # a damaged file: it is measured again
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["key"] == key:
                return kept["columns"]
    columns = measure(material, section)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"key": key, "columns": columns}), encoding="utf-8")
    return columns


def measure_all(checks: ClsChecks | DetChecks, material: Material, work: Path) -> list[dict[str, Any]]:
    """For every synthetic image, the values of all given scores. Raises UserError if a scene differs from its
    photograph in pixels that its mode must not change."""
    if material.task == "det":
        _check_protected(measured("boxes", checks.boxes if isinstance(checks, DetChecks) else None, material, work))
    columns: Columns = {}
    for name, section in active(checks).items():
        columns |= measured(name, section, material, work)
    return [{name: values[index] for name, values in columns.items()} for index in range(len(material.generated))]


def _local_files(settings: Any) -> Iterator[str]:
    """Hashes of the weights that the settings name as a local file or folder, since these can be replaced."""
    if isinstance(settings, dict):
        for value in settings.values():
            yield from _local_files(value)
    elif isinstance(settings, str) and (is_local(settings) or settings.endswith(".safetensors")):
        path = Path(settings).expanduser()
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file_sha256(file) for file in files if file.is_file())


@cache
def _made_by(name: str) -> list[str]:
    """What the numbers depend on besides images and settings: the code of the score, and the libraries."""
    return [code.fingerprint(f"diffaug.scoring.{name}"), *(f"{library} {version(library)}" for library in _LIBRARIES)]


def _check_protected(columns: Columns) -> None:
    touched = [number for number in columns["protected"] if number]
    if touched:
        raise UserError(
            f"data/generated/det: {len(touched)} scenes differ from their photographs in pixels that their modes "
            "protect; this is a bug of diffaug: please report it with your params.yaml"
        )
