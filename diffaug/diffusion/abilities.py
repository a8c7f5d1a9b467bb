"""What a pipeline can do, read from its call: the pipelines of the modes, their arguments, their size."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, AutoPipelineForText2Image
from pydantic import ConfigDict, TypeAdapter, ValidationError

from diffaug.diffusion.truncation import refuse_truncation
from diffaug.runtime.errors import UserError


def pipeline_for(mode: str, loaded: Any, controlnet: Any | None = None) -> Any:
    """A pipeline of this mode that shares the loaded one's networks. Raises UserError if the model has none.

    mode: txt2img, img2img or inpaint; if a `controlnet` is given, with a ControlNet.
    """
    auto = {
        "txt2img": AutoPipelineForText2Image,
        "img2img": AutoPipelineForImage2Image,
        "inpaint": AutoPipelineForInpainting,
    }[mode]
    extra = {"controlnet": controlnet} if controlnet is not None else {}
    try:
        pipeline = auto.from_pipe(loaded, **extra)
    except (ValueError, AttributeError) as error:
        # A pipeline that the Auto classes do not know is used as it is: most draw from a text.
        if mode != "txt2img" or controlnet is not None or "image" in _required(loaded):
            wanted = f"{mode} with a ControlNet" if controlnet is not None else mode
            raise UserError(
                f"params.yaml: generate: {type(loaded).__name__} has no {wanted} ({str(error).splitlines()[0]}); "
                "remove this mode, or take another model"
            ) from None
        pipeline = loaded
    if getattr(pipeline, "watermark", None) is not None:
        pipeline.watermark = None  # a classifier would learn an invisible mark on all synthetic images
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def takes(pipeline: Any) -> Mapping[str, inspect.Parameter]:
    """The arguments of the pipeline's call."""
    return inspect.signature(pipeline.__call__).parameters


def refuse_unknown(pipeline: Any, arguments: Iterable[str]) -> None:
    """Raises UserError for arguments that the pipeline's call does not have."""
    unknown = [name for name in arguments if name not in takes(pipeline)]
    if unknown:
        known = ", ".join(name for name in takes(pipeline) if not name.startswith("callback"))
        raise UserError(
            f"params.yaml: generate.{unknown[0]}: {type(pipeline).__name__} does not have it; leave it out (null, or "
            f"an empty text), or choose from: {known}"
        )


def refuse_wrong_types(pipeline: Any, given: Mapping[str, Any], key: str) -> None:
    """Raises UserError for a value of another type than the pipeline's call states for this argument."""
    stated = get_type_hints(pipeline.__call__)
    for name, value in given.items():
        if name not in stated:
            continue
        try:
            TypeAdapter(stated[name], config=ConfigDict(arbitrary_types_allowed=True)).validate_python(
                value, strict=True
            )
        except ValidationError:
            allowed = inspect.formatannotation(takes(pipeline)[name].annotation).replace("typing.", "")
            raise UserError(
                f"params.yaml: {key}.{name}: found {value!r}, but {type(pipeline).__name__} takes {allowed}; change "
                "it, or leave it out"
            ) from None


def native_size(pipeline: Any) -> tuple[int, int]:
    """(width, height) in pixels that the model was trained for. Raises UserError if the model does not state it."""
    network = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    sample = getattr(pipeline, "default_sample_size", None) or getattr(
        getattr(network, "config", None), "sample_size", None
    )
    factor = getattr(pipeline, "vae_scale_factor", None)
    if not sample or not factor:
        raise UserError(
            f"params.yaml: generate.height: {type(pipeline).__name__} does not state its image size; give height and "
            "width, such as 1024"
        )
    height, width = (sample, sample) if isinstance(sample, int) else sample
    return width * factor, height * factor


def tokenizers(pipeline: Any) -> list[Any]:
    """The pipeline's tokenizers that state their maximum length."""
    found = [part for name, part in pipeline.components.items() if name.startswith("tokenizer")]
    return [part for part in found if part is not None and getattr(part, "model_max_length", 10**9) < 10**6]


def refuse_long_prompts(pipeline: Any, texts: Iterable[str], key: str) -> None:
    """Raises UserError if a text is too long for the text encoder with the largest limit."""
    readers = tokenizers(pipeline)
    if readers:
        reader = max(readers, key=lambda one: one.model_max_length)
        # The pipeline writes a token of its own for every further vector of an embedding.
        expand = getattr(pipeline, "maybe_convert_prompt", None)
        read = {text: expand(text, reader) if expand else text for text in texts}
        refuse_truncation(reader, read, key)


def _required(pipeline: Any) -> list[str]:
    return [name for name, item in takes(pipeline).items() if item.default is inspect.Parameter.empty]
