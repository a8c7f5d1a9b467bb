"""From a model's name in the params to its files on this disk: checked, complete, and without pickles."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diffusers import DiffusionPipeline
from huggingface_hub import get_cached_repo_tree, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import CachedRepoTreeNotFoundError, HfHubHTTPError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import filter_repo_objects
from pydantic import ValidationError

from diffaug.hub.checkpoints import CARRIED, Checkpoint, carried_folder, recognise
from diffaug.hub.configs import SMALL_FILES, check_small_files
from diffaug.hub.licence import card_licence
from diffaug.hub.parts import CONFIG, INDEX, PICKLES, check_parts, convert, is_network, missing, parts, refuse_pickles
from diffaug.hub.pickled import convert_file
from diffaug.params.base import GENERATOR, ModelName
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import file_sha256

_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
_WEIGHTS = re.compile(r"(?P<stem>[a-z_]+?)(-\d+-of-\d+)?(\.(?P<variant>\w+?))?(-\d+-of-\d+)?\.safetensors")
# All reasons why a download fails: no network, no such repository, gated access, a server error.
_UNREACHABLE = (HfHubHTTPError, OfflineModeIsEnabled, HTTPError, OSError, ValueError)


@dataclass(frozen=True)
class Located:
    """A model's files. `path`: a folder in the hub's layout, or a single checkpoint file; `sha256`: of its weights and
    configuration; `weights`: the .safetensors files of a pipeline; `config`: the folder of a single file's
    configuration; `note`: what was assumed about it."""

    name: str
    revision: str | None
    path: Path
    sha256: str
    licence: str | None
    weights: tuple[Path, ...] = ()
    config: Path | None = None
    note: str | None = None


def locate_pipeline(model: ModelName, key: str) -> Located:
    """A pipeline's files, downloaded if the name is a hub id. `key`: the parameter, for the messages of UserError."""
    if model.is_file:
        return _locate_file(model, key)
    folder = _download(model, key, _pipeline_download) if model.on_hub else _local_folder(model, key)
    if not (folder / INDEX).exists():
        made_by = "run `dvc repro train_gen`" if model.name == GENERATOR else "it is not in the hub's pipeline layout"
        raise UserError(f"params.yaml: {key}: {folder} has no model_index.json; {made_by}")
    components = parts(folder)
    _refuse_missing(model, key, folder, components)
    check_parts(folder, components)
    if not model.allow_pickle:
        refuse_pickles(model, key, folder, components)
    files = [path for name in components for path in _loaded_files(folder / name, model.variant)]
    return Located(
        name=model.name,
        revision=model.revision,
        path=folder,
        sha256=files_sha256(folder, [folder / INDEX, *files]),
        licence=_licence(model, folder),
        weights=tuple(path for path in files if path.suffix == ".safetensors"),
    )


def locate_network(model: ModelName, key: str) -> Located:
    """A single network's files: a ControlNet, a tiny VAE, a depth or segmentation model."""
    folder = _download(model, key, _snapshot_download) if model.on_hub else _local_folder(model, key)
    if not (folder / CONFIG).exists():
        raise UserError(f"params.yaml: {key}: {folder} has no config.json, so it is not a network in the hub's layout")
    check_small_files(folder)
    files = _loaded_files(folder, model.variant)
    if not any(path.suffix == ".safetensors" for path in files):
        raise UserError(f"params.yaml: {key}: {folder} has no .safetensors weights; take a release that has")
    return Located(model.name, model.revision, folder, files_sha256(folder, files), _licence(model, folder))


def config_folder(config: str, key: str) -> Path:
    """The folder of configurations with which a single checkpoint file is read (no weights).

    config: the name of a carried configuration, a local folder, or a hub id with its commit, as owner/model@commit.
    """
    if config in CARRIED:
        return carried_folder(config)
    name, _, revision = config.partition("@")
    if not revision:
        folder = Path(config).expanduser()
        if not (folder / INDEX).exists():
            raise UserError(
                f"params.yaml: {key}.config: {config!r} is not a folder with a model_index.json, nor one of "
                f"{', '.join(CARRIED)}"
            )
    else:
        try:
            pinned = ModelName(name=name, revision=revision)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise UserError(f"params.yaml: {key}.config: {config!r}: {reason}") from None
        folder = _download(pinned, f"{key}.config", _config_download)
    check_parts(folder, parts(folder))
    return folder


def single_file(model: ModelName, key: str) -> tuple[Path, Checkpoint]:
    """A single checkpoint file and what it is, from a look at its head. Raises UserError if it cannot be opened."""
    path = Path(model.name).expanduser()
    if not path.is_file():
        raise UserError(f"params.yaml: {key}: {path} is not a file; give the path of a checkpoint")
    pickled = path.suffix != ".safetensors"
    if pickled and not model.allow_pickle:
        raise UserError(f"params.yaml: {key}: {path} is pickled, and opening it can run any code; {convert_file(path)}")
    if pickled and model.config is None:
        raise UserError(
            f"params.yaml: {key}: {path} is not a .safetensors file, so it needs config; {convert_file(path)}"
        )
    return path, recognise(path, key) if model.config is None else Checkpoint(model.config)


def files_sha256(folder: Path, files: list[Path]) -> str:
    """A hash of the names (relative to `folder`) and bytes of these files."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def _locate_file(model: ModelName, key: str) -> Located:
    path, found = single_file(model, key)
    config = config_folder(found.kind, key)  # it sets the noise schedule and the scales, so it belongs to the model
    small = [item for item in config.rglob("*") if item.is_file() and item.suffix in SMALL_FILES]
    content = f"{file_sha256(path)} {files_sha256(config, small)}"
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    weights = (path,) if path.suffix == ".safetensors" else ()
    return Located(path.name, None, path, sha256, None, weights, config, found.note)


def _local_folder(model: ModelName, key: str) -> Path:
    folder = Path(model.name).expanduser()
    if not folder.is_dir():
        made_by = "run `dvc repro train_gen`" if model.name == GENERATOR else "give the path of a folder"
        raise UserError(f"params.yaml: {key}: {folder} is not a folder; {made_by}")
    return folder


def _download(model: ModelName, key: str, fetch: Callable[[ModelName], str]) -> Path:
    try:
        return Path(fetch(model))
    except _UNREACHABLE as error:
        reason = " ".join(str(error.__cause__ or error).split())[:300].rstrip(".") or type(error).__name__
        if type(error) in (OSError, ValueError) and error.__cause__ is None and getattr(error, "errno", None) is None:
            # An error of diffusers: the hub was reached, but does not have these weights.
            raise UserError(
                f"params.yaml: {key}: {model.name} at {model.revision} has no such weights ({reason}); check the "
                f"variant, {convert(model)}"
            ) from None
        command = f"`hf download {model.name} --revision {model.revision}`"
        found = [try_to_load_from_cache(model.name, file, revision=model.revision) for file in (INDEX, CONFIG)]
        folder = next((Path(index).parent for index in found if isinstance(index, str)), None)
        absent = _absent(model, folder) if folder else ["all files"]
        if folder and not absent:
            return folder
        raise UserError(
            f"params.yaml: {key}: {model.name} at {model.revision} is not complete on this machine, and the hub did "
            f"not provide it ({reason}); absent: {', '.join(absent)}; {command} fetches it with a network"
        ) from None


def _pipeline_download(model: ModelName) -> str:
    parts(Path(hf_hub_download(model.name, INDEX, revision=model.revision)).parent)  # before the library reads it
    return DiffusionPipeline.download(
        model.name,
        revision=model.revision,
        variant=model.variant,
        use_safetensors=None if model.allow_pickle else True,
    )


def _snapshot_download(model: ModelName) -> str:
    return snapshot_download(model.name, revision=model.revision, allow_patterns=_FILES)


def _config_download(model: ModelName) -> str:
    return snapshot_download(model.name, revision=model.revision, allow_patterns=["*.json", "*.txt", "*.model"])


def _absent(model: ModelName, folder: Path) -> list[str]:
    """What the cache lacks: parts of the pipeline and, if the hub's list of files is known, their small files."""
    listed = _listed(model)
    components: dict[str, str] = {}
    if (folder / INDEX).exists():
        components = parts(folder)
        small = {name for name, kind in components.items() if not is_network(kind)}
        listed = [file for file in listed if file.partition("/")[0] in small]
    wanted = filter_repo_objects(listed, allow_patterns=_FILES)
    return missing(folder, components) + [file for file in wanted if not (folder / file).exists()]


def _listed(model: ModelName) -> list[str]:
    """The hub's list of the model's files, as stored in the cache; empty if it is not there."""
    try:
        return [file.path for file in get_cached_repo_tree(model.name, revision=model.revision)]
    except CachedRepoTreeNotFoundError:
        return []


def _refuse_missing(model: ModelName, key: str, folder: Path, found: dict[str, str]) -> None:
    absent = missing(folder, found)
    if absent:
        fetch = f"; `hf download {model.name} --revision {model.revision}` fetches them" if model.on_hub else ""
        raise UserError(f"params.yaml: {key}: {folder} is not complete; absent: {', '.join(absent)}{fetch}")


def _loaded_files(part: Path, variant: str | None) -> list[Path]:
    """The files that opening this part reads: small files that diffusers downloads, and one variant of the weights."""
    weights = {path: _WEIGHTS.fullmatch(path.name) for path in part.glob("*.safetensors")}
    variants = {match["variant"] if match else None for match in weights.values()}
    wanted = variant if variant in variants else None
    chosen = [path for path, match in weights.items() if (match["variant"] if match else None) == wanted]
    small = [path for path in part.glob("*") if path.suffix in SMALL_FILES]
    small = [path for path in small if ".index." not in path.name and path.name != "generation_config.json"]
    return small + (chosen or list(weights) or [path for path in part.glob("*") if path.suffix in PICKLES])


def _licence(model: ModelName, folder: Path) -> str | None:
    """From the model card: `license_name` if given, otherwise `license`; None if neither is given."""
    card = folder / "README.md"
    if not card.exists() and model.on_hub and "README.md" in (_listed(model) or ["README.md"]):
        try:
            card = Path(hf_hub_download(model.name, "README.md", revision=model.revision))
        except _UNREACHABLE:
            return None
    return card_licence(card) if card.is_file() else None
