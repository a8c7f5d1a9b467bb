"""The settings for drawing one image, and their ranges, for params.yaml, files of prompts and `diffaug sheet`."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from diffaug.params.base import Fraction, LocalPath, Section
from diffaug.params.messages import problems_of
from diffaug.params.schedulers import check_name

Strength = Annotated[float, Field(gt=0, le=1)]
Guidance = Annotated[float, Field(ge=0, le=50)]
Steps = Annotated[int, Field(ge=1, le=1000)]
Side = Annotated[int, Field(ge=16, le=8192, multiple_of=8)]
Scheduler = Annotated[str, AfterValidator(check_name)]


def _below_prompts(name: str) -> str:
    if not name.startswith("prompts/") or ".." in name:
        raise ValueError("must be in the folder prompts/, since DVC tracks only that folder")
    return name


BelowPrompts = Annotated[LocalPath, AfterValidator(_below_prompts)]


class Sampling(Section):
    """Settings that a single image may override. height, width: size of the model's canvas in pixels."""

    scheduler: Scheduler | None = None
    num_inference_steps: Steps | None = None
    guidance_scale: Guidance | None = None
    eta: Fraction | None = None
    height: Side | None = None
    width: Side | None = None


class OneImage(Sampling):
    """The same, and the settings that only a single image has."""

    strength: Strength | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    prompt: str | None = None
    negative_prompt: str | None = None


def checked(model: type[Sampling], values: dict[str, Any]) -> dict[str, Any]:
    """The given values, checked as settings of the model. Raises ValueError: the setting, the value found and what is
    allowed, in one line."""
    try:
        return model.model_validate(values).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise ValueError(problems_of(error, model)) from None


def check_steps(steps: int, strength: float) -> None:
    """Raises ValueError if the strength leaves less than one step (SDEdit, Meng et al. 2021, arXiv:2108.01073, runs the
    last steps x strength)."""
    if strength and int(steps * strength) < 1:
        raise ValueError(
            f"num_inference_steps {steps} x strength {strength:g} is below one step, so it would change nothing; "
            "raise one of them"
        )
