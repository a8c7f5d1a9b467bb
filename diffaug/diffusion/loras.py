"""LoRAs on a pipeline: the formats of their files, and adding them to the weights."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from diffaug.diffusion.additions import given_file, how_much_fits
from diffaug.diffusion.lora_names import TEXTS
from diffaug.hub.opening import fitting
from diffaug.hub.weights import refuse_not_finite
from diffaug.params.generate import Adapter
from diffaug.runtime.errors import UserError
from diffaug.runtime.hashes import weights_sha256

LORA_FILE = "pytorch_lora_weights.safetensors"
# What a file calls the two matrices of a module: A (or down), then B (or up).
_PAIRS = ((".lora_down.weight", ".lora_up.weight"), (".lora_A.weight", ".lora_B.weight"))
_NETWORKS = ("unet", "transformer")
# What the usual formats write behind the name of a module.
_TENSOR = re.compile(r"(\.(lora|lokr|hada)_\w+|[._]lora\.(down|up)|\.alpha|\.dora_scale)\b.*$")


def lora_sha256(adapter: Adapter) -> str:
    """A hash of the file, and its scale. Raises UserError if there is no such file."""
    return f"{weights_sha256(lora_file(adapter))} {adapter.scale!r}"


def load_loras(pipeline: Any, adapters: Sequence[Adapter], dtype: torch.dtype) -> list[str]:
    """Add the LoRAs, times their scales, to the weights (Hu et al. 2021, arXiv:2106.09685); a line on each says how
    much of it fits.

    The sum is taken in float32 and rounded once, to `dtype`.

    Raises UserError if one is damaged, or less than half of it fits.
    """
    if not adapters:
        return []
    kind = type(pipeline).__name__
    if not hasattr(pipeline, "load_lora_weights"):
        raise UserError(f"params.yaml: generate.loras: {kind} does not support LoRA; remove it")
    files = [lora_file(adapter) for adapter in adapters]
    names = [f"lora{number}" for number in range(len(adapters))]
    notes = []
    with fitting("generate.loras", " and ".join(map(str, files)), kind):
        for name, file in zip(names, files):
            weights = load_file(file)
            refuse_not_finite(weights, f"params.yaml: generate.loras: {file}")
            _load(pipeline, file, weights, name)
            modules = {_TENSOR.sub("", key) for key in weights}
            # A module of the file can become several of the pipeline, so there can be more of these.
            fit = sum(name in layer.scaling for layer in _layers(pipeline))
            notes.append(how_much_fits(f"generate.loras: {file}", "modules", fit, len(modules), kind))
        # If no weight fits, the library raises no error, and the adapter does not exist.
        pipeline.set_adapters(names, adapter_weights=[adapter.scale for adapter in adapters])
        for layer in _layers(pipeline):
            layer.float()
            layer.merge(adapter_names=[name for name in names if name in layer.scaling])
            layer.get_base_layer().to(dtype)
        pipeline.unload_lora_weights()
    return notes


def lora_file(adapter: Adapter) -> Path:
    """The .safetensors file of a LoRA. Raises UserError if there is none."""
    return given_file(adapter.path, LORA_FILE, "generate.loras")


def _load(pipeline: Any, file: Path, weights: dict[str, Tensor], name: str) -> None:
    if any("dora_scale" in key or "lora_magnitude_vector" in key for key in weights):
        raise UserError(
            f"params.yaml: generate.loras: {file} is a DoRA, whose lengths (dora_scale) the library leaves out; take a "
            "LoRA"
        )
    with safe_open(file, framework="pt") as opened:
        described = "lora_adapter_metadata" in (opened.metadata() or {})
    if described:  # by diffusers; the scales are in the description
        pipeline.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=name, local_files_only=True)
        return
    weights = {key.replace(".default.weight", ".weight"): value for key, value in weights.items()}
    networks = {one: network for one in _NETWORKS if (network := getattr(pipeline, one, None)) is not None}
    for network, module in networks.items():  # DiffSynth leaves out the network's name
        own = {child for child, _ in module.named_children()}
        weights = {f"{network}.{key}" if key.partition(".")[0] in own else key: one for key, one in weights.items()}
    if "unet" not in networks:
        pipeline.load_lora_weights(weights, adapter_name=name)
        return
    weights = _with_alpha(weights)
    texts = {key: value for key, value in weights.items() if key.startswith("lora_te")}
    for given in (_named_texts(texts, pipeline), {key: one for key, one in weights.items() if key not in texts}):
        if given:
            pipeline.load_lora_weights(given, adapter_name=name)


def _with_alpha(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights with alpha in the second matrix of each module: the product counts alpha / rank times.

    kohya's trainer and ai-toolkit store alpha beside the matrices. diffusers loses it where it differs between modules.
    """
    weights = dict(weights)
    for alpha in [key for key in weights if key.endswith(".alpha")]:
        base = alpha.removesuffix(".alpha")
        pair = next(((base + down, base + up) for down, up in _PAIRS if base + down in weights), None)
        if pair is not None:
            rank = weights[pair[0]].shape[0]
            weights[pair[1]] = weights[pair[1]].float() * (weights.pop(alpha).float().item() / rank)
    return weights


def _named_texts(weights: dict[str, Tensor], pipeline: Any) -> dict[str, Tensor]:
    """kohya's weights for text encoders by the names of diffusers, which itself leaves out those of the attention.

    kohya writes _ for each dot, and the names are those before transformers 5, with `text_model` in them.
    """
    modules: dict[str, str] = {}
    for part, prefixes in TEXTS.items():
        encoder = getattr(pipeline, part, None)
        for name, _ in encoder.named_modules() if encoder is not None else ():
            plain = name.removeprefix("text_model.").replace(".", "_")
            modules |= {f"{prefix}{old}{plain}": f"{part}.{name}" for prefix in prefixes for old in ("text_model_", "")}
    found = {}
    for key, value in weights.items():
        module, _, end = key.partition(".")
        if module in modules:
            found[f"{modules[module]}.{end.replace('lora_down', 'lora_A').replace('lora_up', 'lora_B')}"] = value
    return found


def _layers(pipeline: Any) -> Iterator[Any]:
    """The pipeline's modules that have adapters."""
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            yield from (one for one in part.modules() if isinstance(one, BaseTunerLayer))
