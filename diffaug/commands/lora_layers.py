"""The layers of a LoRA file in the names of kohya, peft or diffusers, each with its matrices and its scale."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft.utils.other import get_pattern_key
from safetensors import SafetensorError, safe_open
from torch import Tensor

from diffaug.commands.model_files import licence
from diffaug.diffusion.loras import LORA_FILE
from diffaug.hub.pickled import convert_file
from diffaug.hub.weights import refuse_not_finite
from diffaug.runtime.errors import UserError
from diffaug.runtime.text import printable

_DESCRIBED = "lora_adapter_metadata"  # by diffusers' trainers, in the file's metadata
_LICENCE = "modelspec.license"  # by kohya's trainer, there too
_KEY = re.compile(r"(.+?)\.(?:lora_|lora\.|lora_linear_layer\.)(down|up|A|B)(?:\.default)?\.weight")
_OLD_KEY = re.compile(r"(.+?)(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight")  # of diffusers in 2023
_UP = ("up", "B")
_LONGEST = 200  # letters of a licence


@dataclass(frozen=True)
class Layer:
    """What a LoRA adds to one layer: `scale` x up x down. `name`: of the layer; `key`: of its first matrix in the
    file."""

    name: str
    key: str
    down: Tensor
    up: Tensor
    scale: float


def lora_file(path: Path) -> Path:
    """The .safetensors file of a LoRA, or the usual one in a folder. Raises UserError."""
    path = path.expanduser()
    file = path / LORA_FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file}: does not exist; give a LoRA as PATH:SCALE: a .safetensors file, or a folder of one")
    if file.suffix != ".safetensors":
        raise UserError(f"{file}: is not a .safetensors file, and opening it can run any code; {convert_file(file)}")
    return file


def lora_names(files: Sequence[Path]) -> list[str]:
    """A name for each file, all different: its own or, of a file of the usual name, that of its folder."""
    named = [f"{file.resolve().parent.name}.safetensors" if file.name == LORA_FILE else file.name for file in files]
    names: list[str] = []
    for name in named:
        free = itertools.chain([name], (f"{Path(name).stem}-{n}.safetensors" for n in itertools.count(2)))
        names.append(next(one for one in free if one.lower() not in {other.lower() for other in names}))
    return names


def lora_licence(path: Path, file: Path) -> str | None:
    """The licence of a LoRA: that in its file, or in the card of its folder; None if none is stated."""
    with safe_open(file, framework="pt") as opened:
        said = (opened.metadata() or {}).get(_LICENCE)
    if said:
        return printable(said)[:_LONGEST]
    return licence(path.expanduser()) if path.expanduser().is_dir() else None


def read_layers(file: Path, scale: float) -> list[Layer]:
    """The layers of a LoRA, times `scale`, in the order of their names.

    Raises UserError if the file is damaged, or a tensor of it is no part of a LoRA, such as a length of a DoRA.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in sorted(opened.keys())}
            described = (opened.metadata() or {}).get(_DESCRIBED)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file}: not readable as .safetensors ({error}); fetch it again") from None
    refuse_not_finite(tensors, str(file))
    downs: dict[str, tuple[str, Tensor]] = {}
    ups: dict[str, tuple[str, Tensor]] = {}
    alphas: dict[str, tuple[str, Tensor]] = {}
    for key, value in tensors.items():
        name, found = _parse(key)
        if name is None or value.ndim < (0 if found == "alpha" else 2):
            raise UserError(f"{file}: {key} is no part of a LoRA that can be merged (a DoRA, LoHa or LoKr cannot)")
        kept = alphas if found == "alpha" else ups if found in _UP else downs
        kept[name] = (key, value)
    for name, (key, _) in [*downs.items(), *ups.items(), *alphas.items()]:
        if name not in downs or name not in ups:
            raise UserError(f"{file}: {key} lacks the other matrix of its layer; fetch the file again")
    about = _description(file, described)
    return [
        Layer(name, key, down, ups[name][1], scale * _own_scale(file, name, len(down), alphas.get(name), about))
        for name, (key, down) in downs.items()
    ]


def _parse(key: str) -> tuple[str | None, str]:
    """The layer's name, and which of its tensors this is; (None, "") if it is none of a LoRA."""
    if key.endswith(".alpha"):
        return key.removesuffix(".alpha"), "alpha"
    if match := _OLD_KEY.fullmatch(key):
        is_text = match[1].startswith("text_encoder")
        end = f"{match[2]}_proj" if is_text else {"out": "to_out.0"}.get(match[2], f"to_{match[2]}")
        return f"{match[1]}.{end}", match[3]
    if match := _KEY.fullmatch(key):
        return match[1], match[2]
    return None, ""


def _description(file: Path, described: str | None) -> Mapping[str, Any]:
    if described is None:
        return {}
    try:
        found = json.loads(described)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{file}: {_DESCRIBED} of its metadata is no mapping; fetch the file again")
    return found


def _own_scale(file: Path, name: str, rank: int, alpha: tuple[str, Tensor] | None, about: Mapping[str, Any]) -> float:
    """alpha / rank; 1 if the file states no alpha."""
    if alpha is not None:
        return alpha[1].float().item() / rank
    part, _, layer = name.partition(".")
    if f"{part}.lora_alpha" not in about:
        return 1.0
    try:
        patterns = dict(about.get(f"{part}.alpha_pattern") or {})
        own: Any = patterns.get(get_pattern_key(list(patterns), layer), about[f"{part}.lora_alpha"])
        return float(own) / (rank**0.5 if about.get(f"{part}.use_rslora") else rank)
    except (AttributeError, TypeError, ValueError, re.error):
        raise UserError(
            f"{file}: {_DESCRIBED} of its metadata states no alpha for {name}; fetch the file again"
        ) from None
