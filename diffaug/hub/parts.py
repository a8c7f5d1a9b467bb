"""The parts of a pipeline folder, as its model_index.json states them: known classes, complete, without pickles."""

import re
from pathlib import Path
from typing import Any

import diffusers
from diffusers import DiffusionPipeline, ModelMixin

from diffaug.hub.configs import check_small_files, read_mapping, read_shards, shortened
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError

INDEX = "model_index.json"
CONFIG = "config.json"  # of a single network
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
_NEVER = "which never runs here; take a model whose parts are classes of diffusers or transformers"
_LIBRARIES = ("diffusers", "transformers")


def pipeline_class(index: Path) -> Any:
    """The pipeline of diffusers that a model_index.json names. Raises UserError if it is none."""
    return _class(index, read_mapping(index).get("_class_name"), DiffusionPipeline, "a pipeline")


def network_class(config: Path) -> Any:
    """The network of diffusers that a config.json names. Raises UserError if it is none."""
    return _class(config, read_mapping(config).get("_class_name"), ModelMixin, "a network")


def empty_parts(index: Path) -> list[str]:
    """The parts that a model_index.json leaves out."""
    return [name for name, value in _listed(index).items() if value == [None, None]]


def parts(folder: Path) -> dict[str, str]:
    """Folder to class name, for every part of the pipeline. Raises UserError for a damaged index or custom code."""
    index = folder / INDEX
    pipeline_class(index)
    found = {}
    for name, value in _listed(index).items():
        library, kind = value
        if not kind:
            continue
        if not _is_library(library):
            raise UserError(f"{index}: {name}: found {library}.{kind}, custom code, {_NEVER}")
        found[name] = kind
    return found


def check_parts(folder: Path, found: dict[str, str]) -> None:
    """Raises UserError if a small file of a part is damaged, too large, or asks for custom code."""
    for name, kind in found.items():
        check_small_files(folder / name)
        if kind.startswith("Auto") and (file := custom_code(folder / name)):
            raise UserError(f"{file}: auto_map names custom code, {_NEVER}")


def custom_code(folder: Path) -> Path | None:
    """The first file below the folder that names custom code."""
    for file in sorted(folder.rglob("*.json")):
        content = read_mapping(file) if file.name.endswith(("config.json", INDEX)) else {}
        if "auto_map" in content:
            return file
    return None


def refuse_custom_code(folder: Path, error: Exception) -> None:
    """Raises UserError in place of a library's error that asks to trust custom code."""
    if "trust_remote_code" in str(error):
        raise UserError(f"{custom_code(folder) or folder}: names custom code, {_NEVER}") from None


def is_network(kind: str) -> bool:
    """Whether a class of this name has weights."""
    return not any(word in kind for word in ("Scheduler", "Tokenizer", "Processor", "Extractor"))


def missing(folder: Path, found: dict[str, str]) -> list[str]:
    """The files that the parts lack."""
    absent = []
    for name, kind in found.items():
        part = folder / name
        if not is_network(kind):
            absent += [] if part.is_dir() and any(part.iterdir()) else [f"{name}/*"]
            continue
        absent += [] if (part / CONFIG).exists() else [f"{name}/{CONFIG}"]
        weights = [path for path in part.glob("*") if path.suffix in (".safetensors", *PICKLES)]
        absent += [] if weights else [f"{name}/*.safetensors"]
        for index in part.glob("*.safetensors.index*.json"):
            absent += [f"{name}/{shard}" for shard in read_shards(index) if not (part / shard).exists()]
    return absent


def refuse_pickles(model: ModelName, key: str, folder: Path, found: dict[str, str]) -> None:
    """Raises UserError if a network of the pipeline has only pickled weights."""
    for name, kind in found.items():
        if is_network(kind) and not any((folder / name).glob("*.safetensors")):
            raise UserError(
                f"params.yaml: {key}: {name} of {model.name} has only pickled weights, and opening them can run any "
                f"code; {convert(model)}"
            )


def convert(model: ModelName) -> str:
    """What to do about pickled weights."""
    return f"take a .safetensors release of {model.name}, or set allow_pickle: true if you trust its author"


def _listed(index: Path) -> dict[str, list[Any]]:
    """The entries of a model_index.json that name a part: its folder, to library and class."""
    found = {}
    for name, value in read_mapping(index).items():
        if not isinstance(value, list) or name.startswith("_"):
            continue
        pair = len(value) == 2 and all(one is None or isinstance(one, str) for one in value)
        if not pair or not re.fullmatch(r"\w+", name):
            raise UserError(
                f"{index}: {shortened(name)}: found {shortened(value)}; allowed is a part's name with its library and "
                "class, two texts; fetch the model again, or take another"
            )
        found[name] = value
    return found


def _is_library(name: str | None) -> bool:
    """Whether parts of it are opened: a library, or a folder of pipelines in diffusers, such as stable_diffusion."""
    folder = Path(diffusers.__file__).parent / "pipelines" / (name or "")
    return name in _LIBRARIES or bool(name and re.fullmatch(r"\w+", name) and folder.is_dir())


def _class(file: Path, name: Any, base: type, what: str) -> Any:
    if isinstance(name, list):
        raise UserError(f"{file}: _class_name: found {shortened(name)}: custom code, {_NEVER}")
    found = getattr(diffusers, name, None) if isinstance(name, str) else None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UserError(f"{file}: _class_name {shortened(name)} is not {what} of diffusers; take another model")
    return found
