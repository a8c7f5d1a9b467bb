"""Models of the Hugging Face hub, or of its mirror in HF_ENDPOINT."""

from collections.abc import Callable
from pathlib import Path

from diffusers import DiffusionPipeline
from huggingface_hub import get_cached_repo_tree, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import CachedRepoTreeNotFoundError, HfHubHTTPError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import filter_repo_objects

from diffaug.hub.parts import CONFIG, INDEX, convert, is_network, missing, parts
from diffaug.hub.variants import CARD
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError

_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
# All reasons why a download fails: no network, no such repository, gated access, a server error.
UNREACHABLE = (HfHubHTTPError, OfflineModeIsEnabled, HTTPError, OSError, ValueError)


def pipeline(model: ModelName, place: str) -> Path:
    """The folder of a pipeline, downloaded if it is not here. Raises UserError, which begins with `place`."""
    return _download(model, place, _pipeline_download)


def network(model: ModelName, place: str) -> Path:
    """The folder of a network. Raises UserError."""
    return _download(model, place, _snapshot_download)


def configuration(model: ModelName, place: str) -> Path:
    """The folder of a pipeline's small files, without weights. Raises UserError."""
    return _download(model, place, _config_download)


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


def _download(model: ModelName, place: str, fetch: Callable[[ModelName], str]) -> Path:
    try:
        return Path(fetch(model))
    except UNREACHABLE as error:
        if type(error) in (OSError, ValueError) and error.__cause__ is None and getattr(error, "errno", None) is None:
            # An error of diffusers: the hub was reached, but does not have these weights.
            raise UserError(
                f"{place}: {model.name} at {model.revision} has no such weights ({why(error)}); check the "
                f"variant, {convert(model)}"
            ) from None
        found = [try_to_load_from_cache(model.name, file, revision=model.revision) for file in (INDEX, CONFIG)]
        folder = next((Path(index).parent for index in found if isinstance(index, str)), None)
        absent = _absent(model, folder) if folder else ["all files"]
        if folder and not absent:
            return folder
        raise UserError(
            f"{place}: {model.name} at {model.revision} is not complete on this machine, and the hub did "
            f"not provide it ({why(error)}); absent: {', '.join(absent)}; {command(model)} fetches it with a network"
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
    names = listed(model)
    components: dict[str, str] = {}
    if (folder / INDEX).exists():
        components = parts(folder)
        small = {name for name, kind in components.items() if not is_network(kind)}
        names = [file for file in names if file.partition("/")[0] in small]
    wanted = filter_repo_objects(names, allow_patterns=_FILES)
    return missing(folder, components) + [file for file in wanted if not (folder / file).exists()]
