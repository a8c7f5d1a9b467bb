"""Which files of a model are used: by opening it, and so which a download needs. One variant of the weights, no
duplicates such as a single-file checkpoint beside the folders, pickles only where they are allowed."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

from diffaug.hub.configs import SMALL_FILES
from diffaug.hub.parts import INDEX, PICKLES, convert, is_network
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError

CARD = "README.md"
Kind = Literal["pipeline", "network", "configuration"]
_NAME = r"(?P<stem>[a-z_]+?)(-\d+-of-\d+)?(\.(?P<variant>\w+?))?(-\d+-of-\d+)?"
_SAFE, _PICKLED = re.compile(rf"{_NAME}\.safetensors"), re.compile(rf"{_NAME}\.bin")
_SHARDS = re.compile(r"[a-z_]+\.(?:safetensors|bin)\.index(\.(?P<variant>\w+))?\.json")
_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")  # what diffusers and transformers open


def opened(names: Iterable[str], variant: str | None) -> list[str]:
    """Of the files in the folder of a part, those on which the opened part depends."""
    there = list(names)
    small = [name for name in _small(there) if ".index." not in name and name != "generation_config.json"]
    weights = _weights(there, _SAFE, variant) or [name for name in there if name.endswith(".safetensors")]
    return small + (weights or [name for name in there if name.endswith(PICKLES)])


def needed(kind: Kind, names: Sequence[str], found: Mapping[str, str], model: ModelName, place: str) -> list[str]:
    """Of all files of a model, those that a download needs. found: the parts of a pipeline, folder to class name.

    Raises UserError, which begins with `place`, if it has no weights of this variant, or pickled ones only.
    """
    if kind == "network":
        inside = _inside(names, ".")
        weights = _chosen(inside, model, place)
        _refuse_absent({_variant(name) for name in weights}, model, place)
        return [*_with_weights(inside, weights), *(name for name in inside if name == CARD)]
    wanted, variants = [name for name in (INDEX, CARD) if name in names], set[str | None]()
    for part, described in found.items():
        inside = _inside(names, part)
        chosen = _small(inside)
        if is_network(described) and kind == "pipeline":
            weights = _chosen(inside, model, f"{place}: {part}")
            variants |= {_variant(name) for name in weights}
            chosen = _with_weights(inside, weights)
        wanted += [f"{part}/{name}" for name in chosen]
    if kind == "pipeline":
        _refuse_absent(variants, model, place)
    return wanted


def _chosen(names: Sequence[str], model: ModelName, place: str) -> list[str]:
    """The weights of a network: of the model's variant where there are any."""
    weights = _weights(names, _SAFE, model.variant)
    pickled = _weights(names, _PICKLED, model.variant)
    if pickled and not weights:
        if not model.allow_pickle:
            raise UserError(f"{place}: {model.name} has no `safetensors` weights here; {convert(model)}")
        weights = pickled
    others = sorted({variant for name in weights if (variant := _variant(name)) not in (None, model.variant)})
    if others:
        raise UserError(
            f"{place}: {model.name} has only weights of variant {' and '.join(map(str, others))}; set variant: "
            f"{others[0]}"
        )
    return weights


def _refuse_absent(variants: Collection[str | None], model: ModelName, place: str) -> None:
    if model.variant is not None and model.variant not in variants:
        raise UserError(f"{place}: {model.name} has no weights of variant={model.variant}; check the variant")


def _weights(names: Sequence[str], pattern: re.Pattern[str], variant: str | None) -> list[str]:
    """The weights of the variant; without any, those of no variant; without these too, all."""
    found = {name: match for name in names if (match := pattern.fullmatch(name))}
    found = {name: match for name, match in found.items() if match["stem"] in _STEMS} or found
    for wanted in (variant, None):
        if chosen := [name for name, match in found.items() if match["variant"] == wanted]:
            return chosen
    return list(found)


def _with_weights(names: Sequence[str], weights: Sequence[str]) -> list[str]:
    """The weights, and the small files without the lists of shards of other variants."""
    variants = {_variant(name) for name in weights}
    lists = {name for name in names if (match := _SHARDS.fullmatch(name)) and match["variant"] not in variants}
    return [name for name in _small(names) if name not in lists] + list(weights)


def _variant(name: str) -> str | None:
    match = _SAFE.fullmatch(name) or _PICKLED.fullmatch(name)
    return match["variant"] if match else None


def _small(names: Iterable[str]) -> list[str]:
    return [name for name in names if PurePosixPath(name).suffix in SMALL_FILES]


def _inside(names: Iterable[str], part: str) -> list[str]:
    """The files of a folder, without those in its folders."""
    paths = map(PurePosixPath, names)
    return [path.name for path in paths if path.parent == PurePosixPath(part)]
