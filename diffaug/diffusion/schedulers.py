"""The samplers by their common names, mapped to the scheduler classes of diffusers that fit a model."""

import inspect
from collections.abc import Mapping
from typing import Any

from diffaug.params.schedulers import MODEL_OWN
from diffaug.runtime.errors import UserError

# WebUI's names, as in the table of diffusers' documentation (docs/source/en/api/schedulers/overview.md).
_DIFFUSION: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "deis": ("DEISMultistepScheduler", {"algorithm_type": "deis"}),
    "dpm2": ("KDPM2DiscreteScheduler", {}),
    "dpm2_a": ("KDPM2AncestralDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp_sde": ("DPMSolverSinglestepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "sa_solver": ("SASolverScheduler", {"algorithm_type": "data_prediction"}),
    "tcd": ("TCDScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
}
_FLOW: dict[str, tuple[str, dict[str, Any]]] = {
    "euler": ("FlowMatchEulerDiscreteScheduler", {}),
    "heun": ("FlowMatchHeunDiscreteScheduler", {}),
    "lcm": ("FlowMatchLCMScheduler", {}),
}
SPACINGS = {"karras": "use_karras_sigmas", "exponential": "use_exponential_sigmas", "beta": "use_beta_sigmas"}


def fitting(scheduler: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name to (class, settings) of all samplers that fit a model with this scheduler as its own.

    Spacings of the noise levels (Karras et al. 2022, arXiv:2206.00364) are offered if the class supports them. Models
    trained by flow matching support the flow-matching schedulers and, with flow sigmas, the solvers that know these and
    end at a clean image; for these, the library's spacings exceed the range of a flow. A model with neither betas nor a
    flow has only its own scheduler.
    """
    import diffusers

    flow = type(scheduler).__name__.startswith("FlowMatch") or scheduler.config.get("use_flow_sigmas", False)
    table: dict[str, tuple[str, dict[str, Any]]] = {}
    if not flow and "beta_start" not in scheduler.config:
        return table
    shift = scheduler.config.get("shift", scheduler.config.get("flow_shift", 1.0))
    for name, (kind, settings) in _DIFFUSION.items():
        known: Mapping[str, inspect.Parameter] = inspect.signature(getattr(diffusers, kind).__init__).parameters
        if flow and name in _FLOW:
            kind, settings = _FLOW[name]
            settings = settings | {"shift": shift}
            known = inspect.signature(getattr(diffusers, kind).__init__).parameters
        elif flow and {"use_flow_sigmas", "final_sigmas_type"} <= set(known):
            settings = settings | {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": shift}
            known = {}
        elif flow:
            continue
        table[name] = (kind, settings)
        for suffix, argument in SPACINGS.items():
            if argument in known:
                table[f"{name}_{suffix}"] = (kind, settings | {argument: True})
    return table


def make_scheduler(name: str, own: Any) -> Any:
    """A new scheduler of this name with the noise schedule of the model's `own`.

    Raises UserError if it does not fit the model.
    """
    import diffusers

    if name == MODEL_OWN:
        return type(own).from_config(own.config)
    table = fitting(own)
    if name not in table:
        raise UserError(
            f"params.yaml: generate.scheduler: {name!r} does not fit this model, whose own is {type(own).__name__}; "
            f"allowed are {', '.join([MODEL_OWN, *table])}"
        )
    kind, settings = table[name]
    unset = dict.fromkeys(SPACINGS.values(), False)
    return getattr(diffusers, kind).from_config(own.config, **(unset if _takes(kind, unset) else {}) | settings)


def takes_eta(scheduler: Any) -> bool:
    """Whether it uses eta (the share of new noise per step: Song et al. 2020, arXiv:2010.02502)."""
    return "eta" in inspect.signature(scheduler.step).parameters


def _takes(kind: str, arguments: dict[str, bool]) -> bool:
    import diffusers

    return set(arguments) <= set(inspect.signature(getattr(diffusers, kind).__init__).parameters)
