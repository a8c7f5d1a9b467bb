"""What is added to a pipeline: LoRAs and learned words (textual inversion). What does not fit is said, or refused."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file

from diffaug.hub.opening import fitting
from diffaug.hub.weights import refuse_not_finite
from diffaug.params.generate import Adapter, Embedding
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import file_sha256

LORA_FILE = "pytorch_lora_weights.safetensors"
# What the usual formats write behind the name of a module.
_TENSOR = re.compile(r"(\.lora_[A-Za-z_]+|[._]lora\.(down|up)|\.alpha|\.dora_scale)\b.*$")


@dataclass(frozen=True)
class Addition:
    """A file that was added: a hash of it and of its use, and a line that says how much of it fits."""

    sha256: str
    note: str


def load_loras(pipeline: Any, adapters: Sequence[Adapter]) -> list[Addition]:
    """Add the LoRAs, times their scales, to the weights (Hu et al. 2021, arXiv:2106.09685).

    Raises UserError if one is damaged, or less than half of it fits.
    """
    if not adapters:
        return []
    kind = type(pipeline).__name__
    if not hasattr(pipeline, "load_lora_weights"):
        raise UserError(f"params.yaml: generate.loras: {kind} does not support LoRA; remove it")
    files = [_weights_file(adapter.path, LORA_FILE, "generate.loras") for adapter in adapters]
    names = [f"lora{number}" for number in range(len(adapters))]
    notes = []
    with fitting("generate.loras", " and ".join(map(str, files)), kind):
        for name, file in zip(names, files):
            weights = load_file(file)
            refuse_not_finite(weights, f"params.yaml: generate.loras: {file}")
            pipeline.load_lora_weights(
                str(file.parent), weight_name=file.name, adapter_name=name, local_files_only=True
            )
            modules = {_TENSOR.sub("", key) for key in weights}
            # A module of the file can become several of the pipeline, so there can be more of these.
            notes.append(_note(f"generate.loras: {file}", "modules", _adapted(pipeline, name), len(modules), kind))
        # If no weight fits, the library raises no error, and the adapter does not exist.
        pipeline.set_adapters(names, adapter_weights=[adapter.scale for adapter in adapters])
        pipeline.fuse_lora(adapter_names=names)
        pipeline.unload_lora_weights()
    hashes = [f"{file_sha256(file)} {adapter.scale!r}" for file, adapter in zip(files, adapters)]
    return [Addition(*one) for one in zip(hashes, notes)]


def load_embeddings(pipeline: Any, embeddings: Sequence[Embedding]) -> list[Addition]:
    """Add these tokens to the tokenizers (textual inversion, Gal et al. 2022, arXiv:2208.01618).

    Raises UserError if one is damaged, or fits less than half of the text encoders.
    """
    kind = type(pipeline).__name__
    if embeddings and not hasattr(pipeline, "load_textual_inversion"):
        raise UserError(f"params.yaml: generate.embeddings: {kind} does not support them; remove them")
    readers = [part for name, part in pipeline.components.items() if name.startswith("tokenizer") and part is not None]
    found = []
    for embedding in embeddings:
        file = _weights_file(embedding.path, "learned_embeds.safetensors", "generate.embeddings")
        with fitting("generate.embeddings", str(file), kind):
            state = load_file(file)
            refuse_not_finite(state, f"params.yaml: generate.embeddings: {file}")
            _teach(pipeline, state, embedding.token)
        know = sum(embedding.token in reader.get_vocab() for reader in readers)
        note = _note(f"generate.embeddings: {file}", "text encoders", know, len(readers), kind)
        found.append(Addition(f"{file_sha256(file)} {embedding.token}", note))
    return found


def _adapted(pipeline: Any, name: str) -> int:
    """The number of the pipeline's modules that the adapter changes."""
    parts = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    layers = [one for part in parts for one in part.modules() if isinstance(one, BaseTunerLayer)]
    return sum(name in layer.lora_A or name in layer.lora_embedding_A for layer in layers)  # type: ignore[operator]


def _note(what: str, parts: str, fit: int, all: int, kind: str) -> str:
    fit = min(fit, all)
    said = f"{what}: {fit} of {all} {parts} fit {kind}"
    if 2 * fit < all:
        raise UserError(f"params.yaml: {said}, which is less than half: it was made for another model; remove it")
    return said


def _teach(pipeline: Any, state: dict[str, torch.Tensor], token: str) -> None:
    if not {"clip_l", "clip_g"} <= set(state):
        pipeline.load_textual_inversion(state, token=token)
        return
    for part, number in (("clip_l", ""), ("clip_g", "_2")):  # SDXL's two text encoders in one file
        encoder, tokenizer = (getattr(pipeline, f"{kind}{number}") for kind in ("text_encoder", "tokenizer"))
        pipeline.load_textual_inversion(state[part], token=token, text_encoder=encoder, tokenizer=tokenizer)


def _weights_file(path: str, default: str, key: str) -> Path:
    file = Path(path).expanduser()
    file = file / default if file.is_dir() else file
    if not file.is_file():
        raise UserError(
            f"params.yaml: {key}: {file} does not exist; give a .safetensors file, or a folder with {default}"
        )
    if file.suffix != ".safetensors":
        raise UserError(
            f"params.yaml: {key}: {file} is not a .safetensors file; other formats can run code when opened"
        )
    return file
