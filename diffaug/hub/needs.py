"""What a run needs from hubs and sites: how much of it is not on this disk, its licence, and how it is fetched."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import torch

from diffaug.hub.licence import card_licence
from diffaug.hub.locate import HUBS, config_folder, config_on_hub, locate_network, locate_pipeline
from diffaug.hub.variants import Kind
from diffaug.hub.weights import download_release, given_weights, named_weights, release_path
from diffaug.params.base import ModelName, Release

_TIMEOUT = 10  # seconds without an answer to the question for a size


@dataclass(frozen=True)
class Need:
    """key: the parameter that names it; name: the same for the same files; size: about the bytes that are not on this
    disk, 0 if it is here, None if nobody states them; licence: as its card states it; get: downloads it, and goes on
    where it was if it can."""

    key: str
    name: str
    size: int | None
    licence: str | None
    get: Callable[[], object]


def model_need(model: ModelName, key: str, kind: Kind) -> Need | None:
    """A model of a hub; None if it lies on this disk. Raises UserError if the hub cannot be asked."""
    locate: Callable[[ModelName, str], object] = locate_pipeline if kind == "pipeline" else locate_network
    named: ModelName | None = model
    if not model.on_hub:
        named, kind, locate = config_on_hub(model, key), "configuration", config_folder
    if named is None:
        return None
    size = HUBS[named.hub].absent(named, kind, f"params.yaml: {key}")
    card = HUBS[named.hub].card(named)
    licence = card_licence(card) if card is not None else None

    def get() -> None:
        HUBS[named.hub].resume(named, kind, f"params.yaml: {key}")
        locate(model, key)

    return Need(key, _name(named, kind), size, licence, get)


def _name(model: ModelName, kind: Kind) -> str:
    """What is downloaded of a model: the same name is the same files."""
    part = ", its configuration" if kind == "configuration" else f", variant {model.variant}" if model.variant else ""
    return f"{model.label} at {(model.revision or '')[:12]}{part}"


def release_need(release: Release, key: str) -> Need:
    """A released file of weights."""
    there = release_path(release.sha256, release.url).exists()
    return Need(
        key,
        release.url,
        0 if there else size_of(release.url),
        None,
        partial(download_release, release.url, release.sha256, key),
    )


def torchvision_need(model: str, weights: str, key: str) -> Need | None:
    """Torchvision's own weights; None if they are a file. Raises UserError if there are none of this name."""
    if weights.endswith(".safetensors"):
        return None
    url = named_weights(model, weights, key).url
    there = (Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]).exists()
    return Need(key, url, 0 if there else size_of(url), None, partial(given_weights, model, weights, key))


def size_of(url: str) -> int | None:
    """The bytes of a file on a site, if the site states them."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=_TIMEOUT) as answer:
            return int(answer.headers["Content-Length"])
    except (URLError, OSError, TypeError, ValueError):
        return None
