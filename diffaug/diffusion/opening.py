"""Opening a model: pipeline folder, hub id or single file, with LoRA, embeddings and a tiny VAE, without watermark."""

import re
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError

from diffaug.diffusion.additions import load_embeddings
from diffaug.diffusion.finding import Found, find_model
from diffaug.diffusion.loras import load_loras
from diffaug.diffusion.networks import open_network, open_vae
from diffaug.diffusion.small_memory import place, quantize
from diffaug.hub.locate import Located
from diffaug.hub.opening import fitting
from diffaug.hub.parts import INDEX, empty_parts, pipeline_class
from diffaug.hub.weights import refuse_not_finite, stored_dtype
from diffaug.params.base import ModelName
from diffaug.params.generate import GenerateParams
from diffaug.runtime.errors import UserError
from diffaug.runtime.quiet import silence_libraries


@dataclass(frozen=True)
class Model:
    """An open model. `safety`: its checker, removed from it; `notes`: how much of each addition fits."""

    found: Found
    pipeline: Any
    safety: Any | None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all weights in memory."""
        networks = [one for one in self.pipeline.components.values() if isinstance(one, torch.nn.Module)]
        return sum(one.numel() * one.element_size() for network in networks for one in network.parameters())


def open_model(params: GenerateParams, device: torch.device, found: Found | None = None) -> Model:
    """The model of the params on the device, from the files that `find_model` has found.

    Raises UserError if it is missing, incomplete, pickled, damaged, or unsuitable.
    """
    silence_libraries()
    found = found or find_model(params, device)
    dtype, located, adapters = found.dtype, found.located, found.adapters
    # A LoRA changes a weight by less than the steps of a narrow data type, so it is added before the rounding to it.
    wide = stored_dtype(located.weights) if adapters and dtype is not torch.float32 else dtype
    vae = open_vae(params.vae, located, wide) if params.vae is not None else None
    pipeline = open_pipeline(found.name, located, "generate.model", wide, vae)
    notes = [*load_embeddings(pipeline, found.embeddings), *load_loras(pipeline, adapters, dtype)]
    if wide is not dtype:
        _round(pipeline, dtype)
    if params.tiny_vae is not None:
        pipeline.register_modules(vae=open_network(params.tiny_vae, "generate.tiny_vae", dtype)[0])
    name_text_models(pipeline)
    quantize(pipeline, params.memory.quantize)
    safety = take_safety_checker(pipeline)
    if safety is not None and params.memory.offload == "none":  # otherwise it has no place there, and works on the CPU
        safety[0].to(device)
    notes = [located.note, *notes] if located.note else notes
    return Model(found, place(pipeline, params.memory, device), safety, tuple(notes))


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
