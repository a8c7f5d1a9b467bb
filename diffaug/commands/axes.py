"""The axes of a sheet: a setting of an image, and its values."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import yaml

from diffaug.generation.plan.jobs import Job, Settings
from diffaug.params.sampling import OneImage, checked
from diffaug.runtime.errors import UserError
from diffaug.runtime.yaml_files import parse_yaml

_JOB_KEYS = ("prompt", "negative_prompt", "seed")
_WORDS = ("prompt", "negative_prompt", "scheduler")
LORA = "lora_scale"  # it changes the model's weights, and not the settings of an image
_SETTING_KEYS = tuple(field.name for field in fields(Settings) if field.name not in ("mode", "negative"))


@dataclass(frozen=True)
class Axis:
    """A setting and its values, along one side of the sheet or over its pages."""

    name: str
    values: tuple[Any, ...]

    @classmethod
    def parse(cls, text: str) -> "Axis":
        """From `name=value,value,...`; prompts are separated by `|`. Raises UserError."""
        name, _, values = text.partition("=")
        allowed = (*_JOB_KEYS, *_SETTING_KEYS, LORA)
        if name not in allowed or not values:
            raise UserError(f"{text!r} is not NAME=VALUE,VALUE with a NAME of {', '.join(allowed)}")
        chosen: list[Any] = []
        for value in values.split("|" if "prompt" in name else ","):
            try:
                read = value.strip() if name in _WORDS else parse_yaml(value)
                chosen.append(_scale(read) if name == LORA else checked(OneImage, {name: read})[name])
            except (ValueError, yaml.YAMLError) as error:
                raise UserError(f"{text!r}: {error}") from None
        return cls(name, tuple(chosen))

    def put(self, job: Job, value: Any, names: Sequence[str]) -> Job:
        """The job with this value; `{class}` in a prompt is replaced by its class, from `names`."""
        if self.name == LORA:
            return job
        if self.name == "prompt":
            named = names[job.label] if 0 <= job.label < len(names) else "object"
            return replace(job, prompt=value.replace("{class}", named))
        if self.name == "negative_prompt":
            settings = replace(job.settings, negative=bool(value))
            return replace(job, negative_prompt=value, settings=settings)
        if self.name == "strength" and not job.settings.strength:
            raise UserError(f"strength: {job.mode} has no strength; choose another --mode, or give an --image")
        if self.name in _JOB_KEYS:
            return replace(job, **{self.name: value})
        return replace(job, settings=replace(job.settings, **{self.name: value}))


def parse_axes(texts: Sequence[str]) -> list[Axis]:
    """Raises UserError if one is not an axis, or a setting is given twice."""
    axes = [Axis.parse(text) for text in texts]
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{name} is given twice, so one of the two would be ignored; give different settings")
    return axes


def _scale(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"found {value!r}; must be a number, such as 0.8")
    return float(value)


def combinations(axes: Sequence[Axis]) -> Iterator[tuple[Any, ...]]:
    """Every choice of a value of each axis; the last axis changes fastest."""
    return itertools.product(*(axis.values for axis in axes))
