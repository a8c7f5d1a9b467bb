"""`diffaug merge-models --lora`: LoRAs added to the weights of a checkpoint or a pipeline folder, tensor by tensor."""

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from diffaug.commands.lora_layers import Layer, lora_file, lora_licence, lora_names, read_layers
from diffaug.commands.model_files import (
    Tensors,
    copied_folder,
    licence,
    refuse_target,
    weighted_parts,
    weights,
    write_about,
    write_changed,
)
from diffaug.diffusion.lora_names import flat, from_checkpoint, place_of
from diffaug.hub.configs import read_mapping
from diffaug.hub.weights import refuse_not_finite
from diffaug.runtime.errors import UserError

_UNET = "model.diffusion_model."
_TEXTS = {
    "cond_stage_model.transformer.": "text_encoder",
    "conditioner.embedders.0.transformer.": "text_encoder",
    "cond_stage_model.model.transformer.": "text_encoder",  # these two have the names of open_clip
    "conditioner.embedders.1.model.transformer.": "text_encoder_2",
}
_OPEN_CLIP = {
    "resblocks.": "encoder.layers.",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
# From a layer's part and flat name to the part's folder, the tensor's name and, of one for q, k and v, which third.
Places = dict[tuple[str, str], tuple[str, str, int | None]]
Added = dict[tuple[str, str], list[tuple[int | None, Layer]]]


def merge_lora(a: Path, loras: Sequence[tuple[Path, float]], out: Path) -> str:
    """Write A with these LoRAs, each times its scale, added to its weights (Hu et al. 2021, arXiv:2106.09685); returns
    what to know, line by line.

    A: a single .safetensors file, or a folder in the hub's layout; LoRAs: of kohya, peft or diffusers. Sums are taken
    in float32 and rounded once, to the data type of A; memory is that of the LoRAs and one tensor. Raises UserError if
    a layer of a LoRA is not in A.
    """
    refuse_target(a, out)
    files = [(lora_file(path), scale) for path, scale in loras]
    names = lora_names([file for file, _ in files])
    recipe = " + ".join([a.name, *(f"{scale:g} x {name}" for name, (_, scale) in zip(names, files))])
    if a.is_dir():
        places, parts, per_block = _folder_places(a)
    else:
        with Tensors(a, [a]) as model:
            places, parts, per_block = _file_places(model.names_in(a))
    added: Added = {}
    count = 0
    for file, scale in files:
        for layer in read_layers(file, scale):
            place = places.get(place_of(layer.name, parts, per_block))
            if place is None:
                raise UserError(f"{file}: {layer.key} fits no weight of {a}; take a LoRA that was made for this model")
            added.setdefault((place[0], place[1]), []).append((place[2], layer))
            count += 1
    if a.is_dir():
        licences = [lora_licence(path, file) for (path, _), (file, _) in zip(loras, files)]
        of_loras = [(file, name, said) for (file, _), name, said in zip(files, names, licences)]
        with copied_folder(a, out) as copy:
            _write_parts(a, added, copy)
            lines = write_about(copy, [(a, a.name, licence(a)), *of_loras], recipe)
    else:
        lines = []
        with Tensors(a, [a]) as model:
            _write(model, a, "", added, out, {"merged": recipe})
    return "\n".join([f"{out}: {recipe}", f"changed by LoRA: {count} layers", *lines])


def _folder_places(model: Path) -> tuple[Places, tuple[str, ...], int]:
    """Where each layer's weight is in a pipeline folder, its parts, the one that draws first, and its U-Net's layers
    per block."""
    parts = [part.name for part in weighted_parts(model)]
    parts.sort(key=lambda name: name not in ("unet", "transformer"))
    places: Places = {}
    for part in parts:
        files = weights(model / part)
        with Tensors(model, files) as tensors:
            names = [name for file in files for name in tensors.names_in(file)]
        for name in names:
            if name.endswith(".weight"):
                places[part, flat(name.removesuffix(".weight"))] = (part, name, None)
    config = model / "unet" / "config.json"
    found = read_mapping(config).get("layers_per_block") if config.is_file() else None
    return places, tuple(parts), found if isinstance(found, int) else 2


def _file_places(names: Iterable[str]) -> tuple[Places, tuple[str, ...], int]:
    """The same in a checkpoint, whose U-Net has its own names, and whose open_clip has one matrix for q, k and v."""
    names = list(names)
    smaller = (re.fullmatch(rf"{_UNET}input_blocks\.(\d+)\.0\.op\.weight", name) for name in names)
    per_block = min((int(match[1]) for match in smaller if match), default=3) - 1
    places: Places = {}
    for name in names:
        if name.startswith(_UNET) and name.endswith(".weight"):
            layer = from_checkpoint(name.removeprefix(_UNET).removesuffix(".weight"), per_block)
            places["unet", flat(layer)] = ("", name, None)
        for prefix, part in _TEXTS.items():
            if name.startswith(prefix):
                places |= {(part, flat(layer)): ("", name, third) for layer, third in _text_layers(name, prefix)}
    return places, ("unet", "text_encoder", "text_encoder_2"), per_block


def _text_layers(name: str, prefix: str) -> list[tuple[str, int | None]]:
    """The layers whose weights this tensor of a text encoder holds, each with its third of the rows."""
    layer = name.removeprefix(prefix)
    if ".model." in prefix:
        for old, new in _OPEN_CLIP.items():
            layer = layer.replace(old, new)
        if layer.endswith("attn.in_proj_weight"):
            start = layer.removesuffix("attn.in_proj_weight")
            return [(f"{start}self_attn.{one}_proj", third) for third, one in enumerate("qkv")]
    return [(layer.removesuffix(".weight"), None)] if layer.endswith(".weight") else []


def _write_parts(model: Path, added: Added, place: Path) -> None:
    changed = {part for part, _ in added}
    for part in weighted_parts(model):
        files = weights(model / part)
        for file in files:
            if part.name not in changed:
                shutil.copy(file, place / part / file.name)
                continue
            with Tensors(model, files) as tensors:
                _write(tensors, file, part.name, added, place / part / file.name, {})


def _write(model: Tensors, file: Path, part: str, added: Added, out: Path, about: Mapping[str, str]) -> None:
    def change(name: str, value: Tensor) -> Tensor:
        layers = added.get((part, name))
        if layers is None:
            return value
        total = value.to(torch.float32, copy=True)
        for third, layer in layers:
            rows = total if third is None else total.chunk(3)[third]
            rows += _product(layer, rows, name)
        rounded = total.to(value.dtype)
        refuse_not_finite({name: rounded}, f"{out}: merged in {value.dtype}")
        return rounded

    write_changed(model, file, change, out, about)


def _product(layer: Layer, weight: Tensor, name: str) -> Tensor:
    """What the layer adds, in the weight's shape. Raises UserError if it has another."""
    down, up = layer.down.float().flatten(1), layer.up.float().flatten(1)
    if up.shape[1] != down.shape[0] or (len(up), down.shape[1]) != tuple(weight.flatten(1).shape):
        raise UserError(
            f"{layer.key}: {list(layer.up.shape)} x {list(layer.down.shape)} does not fit {name}, which is "
            f"{list(weight.shape)}; take a LoRA that was made for this model"
        )
    return (layer.scale * torch.mm(up, down)).reshape(weight.shape)
