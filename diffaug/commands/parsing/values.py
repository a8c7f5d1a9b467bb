"""Types of values on the command line."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from diffaug.runtime.errors import UserError

if TYPE_CHECKING:
    from diffaug.params.base import ModelName

_MODELSCOPE = "modelscope:"  # as tables and reports name a model of this hub

EXAMPLES = "examples:"  # how such an epilog begins


class WithExamples(argparse.HelpFormatter):
    """Wraps the description, and keeps the lines of the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if not text.startswith(EXAMPLES):
            return super()._fill_text(text, width, indent)
        return "".join(indent + line for line in text.splitlines(keepends=True))


def minutes(text: str) -> float:
    """From 1 to 100,000. Raises ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 1 <= found <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 100000")
    return found


def count(text: str) -> int:
    """A whole number from 1 to 100,000. Raises ArgumentTypeError."""
    if not (text.isdecimal() and 1 <= int(text) <= 100_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100000")
    return int(text)


def tile(text: str) -> int:
    """The side of a tile: a multiple of 64 from 64 to 4096, or 0 for none. Raises ArgumentTypeError."""
    if not (text.isdecimal() and int(text) % 64 == 0 and int(text) <= 4096):
        raise argparse.ArgumentTypeError(f"{text!r} is not a multiple of 64 up to 4096, nor 0, which is the whole")
    return int(text)


def percent(text: str) -> int:
    """A whole number from 1 to 500. Raises ArgumentTypeError."""
    if not (text.isdecimal() and 1 <= int(text) <= 500):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from 1 to 500; without a number, write it after the pictures"
        )
    return int(text)


def numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas between them. Raises ArgumentTypeError."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number, nor several with commas, such as 0.4,0.8"
        ) from None


def whole_numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between them. Raises ArgumentTypeError."""
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, nor several with commas, such as 0,50,199")
    return tuple(int(part) for part in text.split(","))


def model(text: str) -> dict[str, str]:
    """A model as in params.yaml, of a path, or of OWNER/MODEL@COMMIT, with `modelscope:` in front if it is there."""
    at_modelscope = text.startswith(_MODELSCOPE)
    name, at, revision = text.removeprefix(_MODELSCOPE).rpartition("@")
    if not at or Path(text).exists():
        return {"name": text.removeprefix(_MODELSCOPE)} | ({"hub": "modelscope"} if at_modelscope else {})
    return {"name": name, "revision": revision} | ({"hub": "modelscope"} if at_modelscope else {})


def lora(text: str) -> dict[str, str | float]:
    """A LoRA as in params.yaml, of PATH:SCALE; the scale is 1 if it is not given."""
    path, colon, scale = text.rpartition(":")
    try:
        return {"path": path, "scale": float(scale)} if colon and path else {"path": text, "scale": 1.0}
    except ValueError:  # a colon of a path, such as C:
        return {"path": text, "scale": 1.0}


def fraction(text: str) -> float:
    """From 0 (left out) to 1. Raises ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and up to 1")
    return found


def model_name(option: str, given: Mapping[str, str]) -> "ModelName":
    """What `model` read, checked as in params.yaml. Raises UserError with the name of the option."""
    from pydantic import ValidationError

    from diffaug.params.base import ModelName
    from diffaug.params.messages import problems_of

    try:
        return ModelName.model_validate(given)
    except ValidationError as error:
        raise UserError(f"{option}: {problems_of(error, ModelName)}") from None
