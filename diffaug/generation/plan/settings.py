"""The settings of a job, and the turns of lists."""

from collections.abc import Mapping
from typing import Any

from diffaug.generation.plan.jobs import Settings
from diffaug.generation.plan.prompts import Variant
from diffaug.params.generate import GenerateParams, Mode
from diffaug.params.sampling import check_steps
from diffaug.runtime.errors import UserError


def shares(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """How many of `total` images each mode makes; with a larger total, no mode makes fewer images."""
    counts = dict.fromkeys(weights, 0)
    for _ in range(total):
        counts[min(weights, key=lambda name: (counts[name] + 1) / weights[name])] += 1
    return counts


def job_settings(params: GenerateParams, name: str, mode: Mode | None, variant: Variant, turn: int) -> Settings:
    """The settings of one job. Those of the variant override those of the mode, which override the general ones."""

    def chosen(key: str) -> Any:
        own = variant.overrides.get(key, getattr(mode, key, None))
        return getattr(params, key) if own is None else own

    strengths: list[float] = getattr(mode, "strength", None) or [0.0]
    strength, steps = strengths[turn % len(strengths)], chosen("num_inference_steps")
    try:
        check_steps(steps, strength)
    except ValueError as error:
        raise UserError(f"{name}, prompt {variant.prompt!r}: {error}") from None
    eta = chosen("eta")
    return Settings(
        mode=name,
        scheduler=chosen("scheduler"),
        num_inference_steps=steps,
        guidance_scale=float(chosen("guidance_scale")),
        strength=strength,
        eta=-1.0 if eta is None else eta,
        width=chosen("width") or 0,
        height=chosen("height") or 0,
        negative=bool(variant.negative_prompt),
    )


def pass_on(turn: int, length: int) -> int:
    """The turn for the next list, advanced by one after each full cycle of a list of this length."""
    return turn + turn // length if length > 1 else turn
