"""Options that all commands share which draw: the model, its settings, and how they reach the params of `generate`."""

import argparse
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from diffaug.commands.parsing.values import lora, model
from diffaug.runtime.errors import UserError

_SETTINGS = ("scheduler", "num_inference_steps", "guidance_scale", "eta", "height", "width", "batch_size", "dtype")
# Parameters, and the options that are given in their place.
_OPTIONS = {
    "generate.model": "model",
    "generate.loras": "lora",
    "filter.cls.aesthetic": "aesthetic",
    "filter.cls.text": "clip",
}


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add --model and --lora."""
    parser.add_argument("--model", type=model, help="a folder, a .safetensors file, or OWNER/MODEL@COMMIT")
    parser.add_argument("--lora", type=lora, action="append", metavar="PATH:SCALE", help="several can be given")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the settings of the sampler."""
    parser.add_argument("--scheduler", help="such as ddim, pndm, euler_a or dpmpp_2m_karras")
    parser.add_argument("--steps", type=int, dest="num_inference_steps")
    parser.add_argument("--guidance", type=float, dest="guidance_scale", help="WebUI's CFG scale")
    parser.add_argument("--eta", type=float, help="of ddim and tcd: 0 adds no noise on the way, 1 adds as much as DDPM")
    parser.add_argument("--height", type=int, help="of what the model draws, in pixels")
    parser.add_argument("--width", type=int)
    parser.add_argument("--dtype", choices=("auto", "float32", "float16", "bfloat16"))


def changes_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given in place of params of `generate`."""
    given = {key: getattr(arguments, key, None) for key in (*_SETTINGS, "model")}
    changes = {key: value for key, value in given.items() if value is not None}
    return changes | ({"loras": arguments.lora} if getattr(arguments, "lora", None) else {})


@contextmanager
def naming_options(arguments: argparse.Namespace) -> Iterator[None]:
    """Let errors about parameters name the options that were given in their place."""
    given = {key: f"--{name}" for key, name in _OPTIONS.items() if getattr(arguments, name, None) is not None}
    given["generate.prompt"] = "the prompt"
    try:
        yield
    except UserError as error:
        raise UserError(_renamed(str(error), given)) from None


def _renamed(text: str, given: Mapping[str, str]) -> str:
    for key, option in given.items():
        text = re.sub(rf"params\.yaml: {re.escape(key)}(\.\w+)*", option, text)
    return text
