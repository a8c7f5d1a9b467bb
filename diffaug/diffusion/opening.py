"""Opening a model: pipeline folder, hub id or single file, with LoRA, embeddings and a tiny VAE, without watermark."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file

from diffaug.hub.locate import Located, locate_network, locate_pipeline
from diffaug.hub.locate import config_folder as single_file_config
from diffaug.params.base import GENERATOR, ModelName
from diffaug.params.generate import Adapter, Embedding, GenerateParams
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import file_sha256
from diffaug.runtime.quiet import silence_libraries

LORA_FILE = "pytorch_lora_weights.safetensors"
LEARNED_FILE = "learned.json"  # stored with a generator trained here: what it can draw
BASE_FILE = "base.json"  # stored with a LoRA: the model on which it was trained


@dataclass(frozen=True)
class Learned:
    """What train_gen trained a model to draw; other models do not state this.

    context: the side of its images, as a multiple of the object's.
    """

    classes: tuple[str, ...] = ()
    context: float = 1.0

    @classmethod
    def read(cls, folder: Path) -> "Learned":
        """What the model in the folder states."""
        if not (folder / LEARNED_FILE).exists():
            return cls()
        content = json.loads((folder / LEARNED_FILE).read_text(encoding="utf-8"))
        return cls(tuple(content["classes"]), content["context"])


@dataclass(frozen=True)
class Model:
    """An open model. `sha256`: of its weights and all additions to them; `safety`: its checker, removed from it."""

    pipeline: Any
    located: Located
    sha256: str
    dtype: torch.dtype
    device: torch.device
    learned: Learned
    safety: Any | None

    @property
    def label(self) -> str:
        """The usual name of the model, without its LoRAs."""
        return self.located.name

    @property
    def size(self) -> int:
        """The bytes of all weights in memory."""
        networks = [one for one in self.pipeline.components.values() if isinstance(one, torch.nn.Module)]
        return sum(one.numel() * one.element_size() for network in networks for one in network.parameters())


def open_model(params: GenerateParams, device: torch.device) -> Model:
    """The model of the params on the device. Raises UserError if it is missing, incomplete, pickled, or unsuitable."""
    silence_libraries()
    dtype = resolve_dtype(params.dtype, device)
    name, adapters = params.model, list(params.loras)
    learned = Learned.read(Path(GENERATOR)) if name.name == GENERATOR else Learned()
    if name.name == GENERATOR and (Path(GENERATOR) / BASE_FILE).exists():
        name = ModelName.model_validate_json((Path(GENERATOR) / BASE_FILE).read_text(encoding="utf-8"))
        adapters = [Adapter(path=GENERATOR, scale=1.0), *adapters]
    located = locate_pipeline(name, "generate.model")
    pipeline = open_pipeline(name, located, "generate.model", dtype)
    parts = [located.sha256, *load_embeddings(pipeline, params.embeddings), *load_loras(pipeline, adapters)]
    if params.tiny_vae is not None:
        tiny = locate_network(params.tiny_vae, "generate.tiny_vae")
        pipeline.register_modules(vae=_network(tiny.path, dtype, params.tiny_vae.variant))
        parts.append(tiny.sha256)
    safety = take_safety_checker(pipeline)
    if safety is not None:
        safety[0].to(device)
    return Model(
        pipeline=pipeline.to(device),
        located=located,
        sha256=parts[0] if len(parts) == 1 else _digest(parts),
        dtype=dtype,
        device=device,
        learned=learned,
        safety=safety,
    )


def open_pipeline(model: ModelName, located: Located, key: str, dtype: torch.dtype) -> Any:
    """The pipeline of located files, on the CPU. Raises UserError if the library cannot open them."""
    safetensors = None if model.allow_pickle else True
    with _fitting(key, str(located.path), "what its configuration says"):
        if not model.is_file:
            index = json.loads((located.path / "model_index.json").read_text(encoding="utf-8"))
            return DiffusionPipeline.from_pretrained(
                located.path,
                **{part: None for part, kind in index.items() if kind == [None, None]},
                dtype=dtype,
                variant=model.variant,
                use_safetensors=safetensors,
                local_files_only=True,
            )
        config = single_file_config(model, key)
        kind = json.loads((config / "model_index.json").read_text(encoding="utf-8"))["_class_name"]
        return getattr(diffusers, kind).from_single_file(
            str(located.path), config=str(config), dtype=dtype, local_files_only=True
        )


def open_network(model: ModelName, key: str, dtype: torch.dtype) -> tuple[Any, Located]:
    """A network of diffusers, such as a ControlNet, on the CPU; its config.json names the class."""
    located = locate_network(model, key)
    return _network(located.path, dtype, model.variant), located


def resolve_dtype(name: str, device: torch.device) -> torch.dtype:
    """The data type: auto is bfloat16 on a GPU that supports it, float16 on other GPUs, float32 on a CPU."""
    if name != "auto":
        return getattr(torch, name)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32


def training_dtype(device: torch.device) -> torch.dtype:
    """The data type of a model that is fine-tuned: bfloat16 if the device supports it, otherwise float32; float16 would
    need a loss scaler."""
    dtype = resolve_dtype("auto", device)
    return dtype if dtype is torch.bfloat16 else torch.float32


def load_loras(pipeline: Any, adapters: Sequence[Adapter]) -> list[str]:
    """Add the LoRAs, times their scales, to the weights (Hu et al. 2021, arXiv:2106.09685); returns a hash of each."""
    if not adapters:
        return []
    if not hasattr(pipeline, "load_lora_weights"):
        raise UserError(f"params.yaml: generate.loras: {type(pipeline).__name__} does not support LoRA; remove it")
    files = [_weights_file(adapter.path, LORA_FILE, "generate.loras") for adapter in adapters]
    names = [f"lora{number}" for number in range(len(adapters))]
    with _fitting("generate.loras", " and ".join(str(file) for file in files), type(pipeline).__name__):
        for name, file in zip(names, files):
            pipeline.load_lora_weights(
                str(file.parent), weight_name=file.name, adapter_name=name, local_files_only=True
            )
        # If no weight fits, the library raises no error, and the adapter does not exist.
        pipeline.set_adapters(names, adapter_weights=[adapter.scale for adapter in adapters])
        pipeline.fuse_lora(adapter_names=names)
        pipeline.unload_lora_weights()
    return [f"{file_sha256(file)} {adapter.scale!r}" for file, adapter in zip(files, adapters)]


def load_embeddings(pipeline: Any, embeddings: Sequence[Embedding]) -> list[str]:
    """Add these tokens to the tokenizers (textual inversion, Gal et al. 2022, arXiv:2208.01618); a hash of each."""
    if embeddings and not hasattr(pipeline, "load_textual_inversion"):
        raise UserError(
            f"params.yaml: generate.embeddings: {type(pipeline).__name__} does not support them; remove them"
        )
    hashes = []
    for embedding in embeddings:
        file = _weights_file(embedding.path, "learned_embeds.safetensors", "generate.embeddings")
        with _fitting("generate.embeddings", str(file), type(pipeline).__name__):
            _teach(pipeline, load_file(file), embedding.token)
        hashes.append(f"{file_sha256(file)} {embedding.token}")
    return hashes


def _teach(pipeline: Any, state: dict[str, torch.Tensor], token: str) -> None:
    if not {"clip_l", "clip_g"} <= set(state):
        pipeline.load_textual_inversion(state, token=token)
        return
    for part, number in (("clip_l", ""), ("clip_g", "_2")):  # SDXL's two text encoders in one file
        encoder, tokenizer = (getattr(pipeline, f"{kind}{number}") for kind in ("text_encoder", "tokenizer"))
        pipeline.load_textual_inversion(state[part], token=token, text_encoder=encoder, tokenizer=tokenizer)


@contextmanager
def _fitting(key: str, what: str, kind: str) -> Iterator[None]:
    """Turns every error of the library for files that do not fit (a dozen types) into one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"params.yaml: {key}: {what} does not fit {kind}, or is damaged ({reason})") from None


def take_safety_checker(pipeline: Any) -> Any | None:
    """Remove and return the model's safety checker with its preprocessing: it would replace images by black ones."""
    checker = getattr(pipeline, "safety_checker", None)
    if hasattr(pipeline, "safety_checker"):
        pipeline.register_modules(safety_checker=None)
        pipeline.register_to_config(requires_safety_checker=False)
    return (checker, pipeline.feature_extractor) if checker is not None else None


def _network(folder: Path, dtype: torch.dtype, variant: str | None) -> Any:
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("_class_name", "")
    if not hasattr(diffusers, kind):
        raise UserError(f"{folder / 'config.json'}: _class_name {kind!r} is not a network of diffusers")
    with _fitting("generate", str(folder), kind):
        return getattr(diffusers, kind).from_pretrained(
            folder, dtype=dtype, variant=variant, use_safetensors=True, local_files_only=True
        )


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


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
