"""Opening a model: pipeline folder, hub id or single file, with LoRA, embeddings and a tiny VAE, without watermark."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError

from diffaug.diffusion.additions import load_embeddings
from diffaug.diffusion.loras import load_loras
from diffaug.diffusion.networks import open_network, open_vae
from diffaug.diffusion.small_memory import place, quantize
from diffaug.hub.configs import read_facts
from diffaug.hub.learned import Learned
from diffaug.hub.locate import Located, locate_pipeline
from diffaug.hub.opening import fitting
from diffaug.hub.parts import INDEX, empty_parts, pipeline_class
from diffaug.hub.weights import refuse_not_finite, stored_dtype
from diffaug.params.base import GENERATOR, ModelName
from diffaug.params.generate import Adapter, GenerateParams
from diffaug.runtime.errors import UserError
from diffaug.runtime.quiet import silence_libraries
from diffaug.runtime.seals import check_seal

BASE_FILE = "base.json"  # stored with a LoRA: the model on which it was trained


@dataclass(frozen=True)
class Model:
    """An open model. `sha256`: of its weights and all additions to them; `safety`: its checker, removed from it;
    `notes`: how much of each addition fits."""

    pipeline: Any
    located: Located
    sha256: str
    dtype: torch.dtype
    device: torch.device
    learned: Learned
    safety: Any | None
    notes: tuple[str, ...] = ()

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
    if name.name == GENERATOR and Path(GENERATOR).is_dir():
        check_seal(Path(GENERATOR))
    trained_here = name.name == GENERATOR
    if trained_here and (Path(GENERATOR) / BASE_FILE).exists():
        base = read_facts(Path(GENERATOR) / BASE_FILE, ModelName)
        # A folder that came from elsewhere cannot allow itself to run code: only the params can.
        name = base.model_copy(update={"allow_pickle": name.allow_pickle})
        adapters = [Adapter(path=GENERATOR, scale=1.0), *adapters]
    located = locate_pipeline(name, "generate.model")
    learned = Learned.read(Path(GENERATOR) if trained_here else located.path)
    # A LoRA changes a weight by less than the steps of a narrow data type, so it is added before the rounding to it.
    wide = stored_dtype(located.weights) if adapters and dtype is not torch.float32 else dtype
    vae = open_vae(params.vae, located, wide) if params.vae is not None else None
    pipeline = open_pipeline(name, located, "generate.model", wide, vae[0] if vae else None)
    additions = [*load_embeddings(pipeline, params.embeddings), *load_loras(pipeline, adapters, dtype)]
    if wide is not dtype:
        _round(pipeline, dtype)
    parts = [located.sha256, *(one.sha256 for one in additions), *([f"vae {vae[1]}"] if vae else [])]
    if params.tiny_vae is not None:
        tiny, found = open_network(params.tiny_vae, "generate.tiny_vae", dtype)
        pipeline.register_modules(vae=tiny)
        parts.append(found.sha256)
    name_text_models(pipeline)
    quantize(pipeline, params.memory.quantize)
    safety = take_safety_checker(pipeline)
    if safety is not None:
        safety[0].to(device)
    return Model(
        pipeline=place(pipeline, params.memory, device),
        located=located,
        sha256=parts[0] if len(parts) == 1 else _digest(parts),
        dtype=dtype,
        device=device,
        learned=learned,
        safety=safety,
        notes=(*([located.note] if located.note else []), *(one.note for one in additions)),
    )


def open_pipeline(
    model: ModelName, located: Located, key: str, dtype: torch.dtype, vae: torch.nn.Module | None = None
) -> Any:
    """The pipeline of located files, on the CPU, with this VAE in place of its own if one is given.

    Raises UserError if the library cannot open the files.
    """
    given = {} if vae is None else {"vae": vae}
    with fitting(key, located.path, "what its configuration says"):
        pipeline = _pipeline(model, located, key, dtype, given)
        for name, part in pipeline.components.items():
            if isinstance(part, torch.nn.Module):
                refuse_not_finite(part.state_dict(), f"params.yaml: {key}: {located.path}: {name}")
    return pipeline


def _pipeline(model: ModelName, located: Located, key: str, dtype: torch.dtype, given: dict[str, Any]) -> Any:
    path, config = located.path, located.config
    if config is not None:
        kind = pipeline_class(config / INDEX)
        try:
            return kind.from_single_file(str(path), config=str(config), dtype=dtype, local_files_only=True, **given)
        except SingleFileComponentError as error:
            named = re.match(r"Failed to load (\w+)", str(error))
            part = named[1] if named else "a part of the model"
            ways = ", or name a VAE in generate.vae" if part.startswith("Autoencoder") else ""
            raise UserError(
                f"params.yaml: {key}: {path} has no weights for {part}; take a checkpoint of the whole model{ways}"
            ) from None
    return DiffusionPipeline.from_pretrained(
        path,
        **dict.fromkeys(empty_parts(path / INDEX)),
        dtype=dtype,
        variant=model.variant,
        use_safetensors=None if model.allow_pickle else True,
        local_files_only=True,
        **given,
    )


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


def name_text_models(pipeline: Any) -> None:
    """Give CLIP's text encoders the name by which diffusers asks for their last layer after `clip_skip`: since
    transformers 5 there is no `text_model` inside them any more, they are it themselves."""
    for name, part in pipeline.components.items():
        if name.startswith("text_encoder") and hasattr(part, "final_layer_norm") and not hasattr(part, "text_model"):
            vars(part)["text_model"] = part  # not as a module of its own, which would have no end


def take_safety_checker(pipeline: Any) -> Any | None:
    """Remove and return the model's safety checker with its preprocessing: it would replace images by black ones."""
    checker = getattr(pipeline, "safety_checker", None)
    if hasattr(pipeline, "safety_checker"):
        pipeline.register_modules(safety_checker=None)
        pipeline.register_to_config(requires_safety_checker=False)
    return (checker, pipeline.feature_extractor) if checker is not None else None


def _round(pipeline: Any, dtype: torch.dtype) -> None:
    """Round the weights to this data type, except those that a network keeps in float32."""
    for part in (one for one in pipeline.components.values() if isinstance(one, torch.nn.Module)):
        kept = set(getattr(part, "_keep_in_fp32_modules", None) or ())
        for name, value in part.state_dict(keep_vars=True).items():
            if value.is_floating_point() and not kept & set(name.split(".")):
                value.data = value.data.to(dtype)


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
