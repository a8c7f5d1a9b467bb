"""Settings that a pipeline would take and not use, and schedulers that it cannot drive: found before any work."""

import ast
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from diffaug.diffusion.abilities import code_of, takes
from diffaug.diffusion.schedulers import fitting, make_scheduler
from diffaug.params.schedulers import MODEL_OWN
from diffaug.runtime.errors import UserError

_TRUE, _GUIDANCE, _NEGATIVE = "true_cfg_scale", "guidance_scale", "negative_prompt"


def refuse_idle(pipeline: Any, arguments: Mapping[str, Any]) -> None:
    """Raises UserError for a negative prompt, or a scale of true guidance, that would change nothing."""
    kind, known = type(pipeline).__name__, takes(pipeline)
    negative = _NEGATIVE in arguments
    if _TRUE in known:
        scale = arguments.get(_TRUE, known[_TRUE].default)
        if negative and scale <= 1:
            raise UserError(
                f"params.yaml: generate.negative_prompt: {kind} uses it only with {_TRUE} above 1, found {scale:g}; "
                f"set generate.call: {{{_TRUE}: 4.0}}, or leave the negative prompt empty"
            )
        if _TRUE in arguments and scale > 1 and not negative:
            raise UserError(
                f"params.yaml: generate.call.{_TRUE}: {kind} uses it only with a negative prompt; set "
                f'generate.negative_prompt (" " is enough), or remove {_TRUE}'
            )
    elif negative and not guided(pipeline, arguments.get(_GUIDANCE, 1.0)):
        raise UserError(
            f"params.yaml: generate.negative_prompt: {kind} uses it only with guidance, and guidance_scale "
            f"{arguments.get(_GUIDANCE, 1.0):g} is none; raise it, or leave the negative prompt empty"
        )


def guided(pipeline: Any, scale: float) -> bool:
    """Whether the pipeline draws with classifier-free guidance at this scale, as it says itself."""
    if not hasattr(type(pipeline), "do_classifier_free_guidance"):
        return scale > 1
    pipeline._guidance_scale = scale  # every call sets it anew
    return bool(pipeline.do_classifier_free_guidance)


def idle_guidance(pipeline: Any) -> str | None:
    """What to know about a pipeline that ignores guidance_scale, which params.yaml always has, or that counts it
    differently; None if it does neither."""
    kind = type(pipeline)
    if hasattr(kind, "do_classifier_free_guidance") and guided(pipeline, 0.5):
        return f"{kind.__name__} counts guidance_scale from 0: 0 is no guidance, and 1 is what is 2 elsewhere"
    network = getattr(pipeline, "transformer", None)
    embeds = getattr(getattr(network, "config", None), "guidance_embeds", None)
    if embeds is not False or _GUIDANCE not in takes(pipeline):
        return None
    if hasattr(kind, "do_classifier_free_guidance") and guided(pipeline, 10.0):
        return None
    instead = f"; generate.call.{_TRUE}, with a negative prompt, does" if _TRUE in takes(pipeline) else ""
    return f"guidance_scale changes nothing in {kind.__name__}{instead}"


def refuse_undriven(pipeline: Any, name: str, own: Any) -> None:
    """Raises UserError if the pipeline cannot drive the scheduler of this name. own: the model's scheduler."""
    if drives(pipeline, make_scheduler(name, own)):
        return
    allowed = [one for one in (MODEL_OWN, *fitting(own)) if drives(pipeline, make_scheduler(one, own))]
    raise UserError(
        f"params.yaml: generate.scheduler: {type(pipeline).__name__} sets noise levels that {name!r} does not take; "
        f"allowed are {', '.join(allowed)}"
    )


def drives(pipeline: Any, scheduler: Any) -> bool:
    """Whether the scheduler takes what the pipeline gives it in place of the number of steps, noise levels or a shift:
    a copy of it is asked, with two steps."""
    values = _given(type(pipeline))  # type: ignore[arg-type]  # mypy: a class is hashable
    try:
        type(scheduler).from_config(scheduler.config).set_timesteps(**values or {"num_inference_steps": 2})
    except Exception:  # it raises whatever comes of an argument that it does not know
        return False
    return True


@cache
def _given(kind: type) -> dict[str, Any]:
    """The arguments of the scheduler's set_timesteps that a pipeline fills by itself, read from its code, for two
    steps. Some schedulers take noise levels as an array, but not as a list."""
    tree = code_of(kind.__call__)  # type: ignore[operator]
    calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and _name(one.func) == "retrieve_timesteps"]
    assigned = [one for one in ast.walk(tree) if isinstance(one, ast.Assign)]
    # As in: scheduler_kwargs = {"mu": mu}; retrieve_timesteps(..., **scheduler_kwargs)
    keys = [key for one in assigned if isinstance(one.value, ast.Dict) for key in one.value.keys]
    more = {str(key.value) for key in keys if isinstance(key, ast.Constant)}
    filled = {_name(target) for one in assigned for target in one.targets}
    named = {str(word.arg) for call in calls for word in call.keywords} & filled
    values: dict[str, Any] = {"sigmas": [1.0, 0.5], "mu": 0.5}
    made = [part for one in assigned if "sigmas" in map(_name, one.targets) for part in ast.walk(one.value)]
    if any(isinstance(part, ast.Name) and part.id == "np" for part in made):
        values["sigmas"] = np.array(values["sigmas"])
    return {name: value for name, value in values.items() if name in named | more}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""
