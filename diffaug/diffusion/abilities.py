"""What a pipeline can do, read from its call: the pipelines of the modes, their arguments, their size."""

import ast
import contextlib
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

import diffusers
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, AutoPipelineForText2Image
from pydantic import ConfigDict, TypeAdapter, ValidationError

from diffaug.runtime.errors import UserError

_AUTO = {
    "txt2img": AutoPipelineForText2Image,
    "img2img": AutoPipelineForImage2Image,
    "inpaint": AutoPipelineForInpainting,
}
_NAMED = {"img2img": "Img2ImgPipeline", "inpaint": "InpaintPipeline"}  # the ends of the names of diffusers' classes
_NONE = (ValueError, AttributeError, TypeError)


def pipeline_for(mode: str, loaded: Any, controlnet: Any | None = None) -> Any:
    """A pipeline of this mode that shares the loaded one's networks. Raises UserError if the model has none.

    mode: txt2img, img2img or inpaint; if a `controlnet` is given, with a ControlNet.
    """
    try:
        pipeline = _derived(mode, loaded, controlnet)
    except _NONE as error:
        if controlnet is not None:
            wanted, has = f"{mode} with a ControlNet", ""
        else:
            wanted, has = mode, f"it has {' and '.join(modes(loaded)) or 'none of the modes'}; "
        raise UserError(
            f"params.yaml: generate: {type(loaded).__name__} has no {wanted} ({str(error).splitlines()[0]}); {has}"
            "remove this mode, or take another model"
        ) from None
    if getattr(pipeline, "watermark", None) is not None:
        pipeline.watermark = None  # a classifier would learn an invisible mark on all synthetic images
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def modes(loaded: Any) -> list[str]:
    """Which of txt2img, img2img and inpaint the model has."""
    found = []
    for mode in _AUTO:
        with contextlib.suppress(*_NONE):
            _derived(mode, loaded, None)
            found.append(mode)
    return found


def _derived(mode: str, loaded: Any, controlnet: Any | None) -> Any:
    """Raises one of _NONE if diffusers has no such pipeline."""
    extra = {"controlnet": controlnet} if controlnet is not None else {}
    try:
        pipeline = _AUTO[mode].from_pipe(loaded, **extra)
    except _NONE:
        # A pipeline that the Auto classes do not know is used as it is: most draw from a text.
        stem = type(loaded).__name__.removesuffix("Pipeline")
        kind = type(loaded) if mode == "txt2img" else getattr(diffusers, f"{stem}{_NAMED[mode]}", None)
        if kind is None or controlnet is not None or (mode == "txt2img" and "image" in _required(loaded)):
            raise
        pipeline = loaded if mode == "txt2img" else _of_kind(kind, loaded)
    if mode == "img2img" and "strength" not in takes(pipeline):
        raise ValueError("it takes images as references, without a strength")
    return pipeline


def _of_kind(kind: Any, loaded: Any) -> Any:
    """A pipeline of this class with the parts and settings of the loaded one, as they are: the library's own from_pipe
    would change the data type of the networks, which both share."""
    known = {**loaded.config, **loaded.components}
    return kind(**{name: known[name] for name in inspect.signature(kind.__init__).parameters if name in known})


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
    if sample and factor:
        height, width = (sample, sample) if isinstance(sample, int) else sample
        return width * factor, height * factor
    own_width, own_height = _default(pipeline, "width"), _default(pipeline, "height")
    if own_width is None or own_height is None:
        raise UserError(
            f"params.yaml: generate.height: {type(pipeline).__name__} does not state its image size; give height and "
            "width, such as 1024"
        )
    return own_width, own_height


def _default(pipeline: Any, name: str) -> int | None:
    """The number that the call of a pipeline takes for an argument that is not given, as in: height = height or 1024"""
    stated = takes(pipeline)[name].default if name in takes(pipeline) else None
    found = [stated] if isinstance(stated, int) else []
    for one in ast.walk(code_of(type(pipeline).__call__)):
        match one:
            case ast.Assign(
                targets=[ast.Name(id=target)],
                value=ast.BoolOp(op=ast.Or(), values=[ast.Name(id=given), ast.Constant(value=int() as number)]),
            ) if target == given == name:
                found.append(number)
    return found[0] if found else None


def code_of(what: Any) -> ast.AST:
    """The code of a class or a function."""
    return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(what))))


def _required(pipeline: Any) -> list[str]:
    return [name for name, item in takes(pipeline).items() if item.default is inspect.Parameter.empty]
