"""Models of the Hugging Face hub, or of its mirror in HF_ENDPOINT."""

from collections.abc import Callable
from pathlib import Path

from diffusers import DiffusionPipeline
from huggingface_hub import (
    HfApi,
    RepoFile,
    get_cached_repo_tree,
    hf_hub_download,
    snapshot_download,
    try_to_load_from_cache,
)
from huggingface_hub.errors import CachedRepoTreeNotFoundError, HfHubHTTPError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import filter_repo_objects

from diffaug.hub.parts import CONFIG, INDEX, convert, is_network, missing, parts
from diffaug.hub.resuming import fetch_large
from diffaug.hub.variants import CARD, Kind, needed
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError

_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
# All reasons why a download fails: no network, no such repository, gated access, a server error.
UNREACHABLE = (HfHubHTTPError, OfflineModeIsEnabled, HTTPError, OSError, ValueError)


def fetch(model: ModelName, kind: Kind, place: str) -> Path:
    """The folder of a model, downloaded if it is not here. Raises UserError, which begins with `place`."""
    try:
        return Path(_DOWNLOADS[kind](model))
    except UNREACHABLE as error:
        if type(error) in (OSError, ValueError) and error.__cause__ is None and getattr(error, "errno", None) is None:
            # An error of diffusers: the hub was reached, but does not have these weights.
            raise UserError(
                f"{place}: {model.name} at {model.revision} has no such weights ({why(error)}); check the "
                f"variant, {convert(model)}"
            ) from None
        return _cached(model, place, error)


def folder_here(model: ModelName, file: str) -> Path | None:
    """The model's folder in the cache, if this file of it is there."""
    found = try_to_load_from_cache(model.name, file, revision=model.revision)
    return Path(found).parent if isinstance(found, str) else None


def absent(model: ModelName, kind: Kind, place: str) -> int:
    """About the bytes that `fetch` would download: the library decides by a rule of its own. Raises UserError."""
    return sum(_lacking(model, kind, place).values())


def resume(model: ModelName, kind: Kind, place: str) -> None:
    """Download the large files of a model; what a killed download left is used. Raises UserError."""
    lacking = _lacking(model, kind, place)
    try:
        fetch_large(model.name, model.revision, list(lacking), "model", place)
    except UNREACHABLE as error:
        raise _not_whole(model, place, error, list(lacking)) from None


def card(model: ModelName) -> Path | None:
    """The model's card, if there is one and it can be had."""
    if CARD not in (listed(model) or [CARD]):
        return None
    try:
        return Path(hf_hub_download(model.name, CARD, revision=model.revision))
    except UNREACHABLE:
        return None


def command(model: ModelName) -> str:
    """The command that fetches the model."""
    return f"`hf download {model.name} --revision {model.revision}`"


def listed(model: ModelName) -> list[str]:
    """The hub's list of the model's files, as stored in the cache; empty if it is not there."""
    try:
        return [file.path for file in get_cached_repo_tree(model.name, revision=model.revision)]
    except CachedRepoTreeNotFoundError:
        return []


def why(error: Exception) -> str:
    """What the library says, in one line."""
    return " ".join(str(error.__cause__ or error).split())[:300].rstrip(".") or type(error).__name__


def _cached(model: ModelName, place: str, error: Exception) -> Path:
    """The folder of the model in the cache, if it is whole; otherwise raises UserError with the hub's error."""
    found = [try_to_load_from_cache(model.name, file, revision=model.revision) for file in (INDEX, CONFIG)]
    folder = next((Path(index).parent for index in found if isinstance(index, str)), None)
    lacking = _absent(model, folder) if folder else ["all files"]
    if folder and not lacking:
        return folder
    raise _not_whole(model, place, error, lacking) from None


def _not_whole(model: ModelName, place: str, error: Exception, lacking: list[str]) -> UserError:
    return UserError(
        f"{place}: {model.name} at {model.revision} is not complete on this machine, and the hub did "
        f"not provide it ({why(error)}); absent: {', '.join(lacking)}; {command(model)} fetches it with a network"
    )


def _lacking(model: ModelName, kind: Kind, place: str) -> dict[str, int]:
    """The files of the model that are not in the cache, with their sizes. Raises UserError."""
    try:
        sizes = {file.path: file.size for file in _tree(model)}
        read = kind != "network" and INDEX in sizes
        found = parts(Path(hf_hub_download(model.name, INDEX, revision=model.revision)).parent) if read else {}
    except UNREACHABLE as error:
        _cached(model, place, error)
        return {}
    names = needed(kind, list(sizes), found, model, place)
    cached = {name: try_to_load_from_cache(model.name, name, revision=model.revision) for name in names}
    return {name: sizes[name] for name, path in cached.items() if not isinstance(path, str)}


def _tree(model: ModelName) -> list[RepoFile]:
    """All files of the model, from the list in the cache or from the hub."""
    try:
        return get_cached_repo_tree(model.name, revision=model.revision)
    except CachedRepoTreeNotFoundError:
        entries = HfApi().list_repo_tree(model.name, revision=model.revision, recursive=True)
        return [one for one in entries if isinstance(one, RepoFile)]


def _pipeline_download(model: ModelName) -> str:
    parts(Path(hf_hub_download(model.name, INDEX, revision=model.revision)).parent)  # before the library reads it
    return DiffusionPipeline.download(
        model.name,
        revision=model.revision,
        variant=model.variant,
        use_safetensors=None if model.allow_pickle else True,
    )


def _snapshot_download(model: ModelName) -> str:
    """Only the files that opening reads; the list of all is asked for first."""
    names = needed("network", [file.path for file in _tree(model)], {}, model, model.name)
    return snapshot_download(model.name, revision=model.revision, allow_patterns=names)


def _config_download(model: ModelName) -> str:
    return snapshot_download(model.name, revision=model.revision, allow_patterns=["*.json", "*.txt", "*.model"])


_DOWNLOADS: dict[Kind, Callable[[ModelName], str]] = {
    "pipeline": _pipeline_download,
    "network": _snapshot_download,
    "configuration": _config_download,
}


def _absent(model: ModelName, folder: Path) -> list[str]:
    """What the cache lacks: parts of the pipeline and, if the hub's list of files is known, their small files."""
    names = listed(model)
    components: dict[str, str] = {}
    if (folder / INDEX).exists():
        components = parts(folder)
        small = {name for name, kind in components.items() if not is_network(kind)}
        names = [file for file in names if file.partition("/")[0] in small]
    wanted = filter_repo_objects(names, allow_patterns=_FILES)
    return missing(folder, components) + [file for file in wanted if not (folder / file).exists()]
