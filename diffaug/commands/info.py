"""`diffaug info`: the prompt and the settings in a picture that Stable Diffusion drew: by diffaug, WebUI, ComfyUI,
InvokeAI, NovelAI or Fooocus; and how `diffaug upscale` enlarged it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sd_parsers import ParserManager
from sd_parsers.exceptions import ParserError

from diffaug.commands.use import with_values
from diffaug.diffusion.schedulers import SPACINGS
from diffaug.enlarging.pictures import OWN_KEY, text_of
from diffaug.generation.drawing.pnginfo import SAMPLERS
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

# ComfyUI's and InvokeAI's names of samplers that have another one here.
_OTHER = {
    "euler_ancestral": "euler_a",
    "dpm_2": "dpm2",
    "dpm_2_ancestral": "dpm2_a",
    "uni_pc": "unipc",
    "plms": "pndm",
    "dpmpp_2m_k": "dpmpp_2m_karras",
    "dpmpp_sde_k": "dpmpp_sde_karras",
    "euler_k": "euler_karras",
    "heun_k": "heun_karras",
}
_USABLE = ("scheduler", "num_inference_steps", "guidance_scale", "eta", "strength", "height", "width")
_NUMBERS = {"steps": ("num_inference_steps", int), "cfg_scale": ("guidance_scale", float), "seed": ("seed", int)}
_MORE = {"Denoising strength": ("strength", float), "Eta": ("eta", float)}  # of WebUI


@dataclass(frozen=True)
class Info:
    """program: what drew the picture; settings: by our names; other: what has no counterpart here, by theirs;
    enlarged: how, as `diffaug upscale` wrote it."""

    program: str
    settings: Mapping[str, Any]
    other: Mapping[str, Any]
    enlarged: str | None = None

    def lines(self) -> list[str]:
        """A line for each."""
        said = [f"drawn by: {self.program}", *(f"{key}: {value}" for key, value in self.settings.items())]
        said += [f"{key}: {value} (no counterpart here)" for key, value in self.other.items()]
        return said + ([f"enlarged: {self.enlarged}"] if self.enlarged is not None else [])


def read_info(path: Path) -> Info:
    """What a picture says. Raises UserError if it is none, or says nothing."""
    if not path.is_file():
        raise UserError(f"{path}: is not a file; name one picture")
    try:
        found = ParserManager().parse(path)
    except (OSError, ParserError, ValueError, SyntaxError, ImportError) as error:
        raise UserError(f"{path}: not readable as a picture ({' '.join(str(error).split())[:200]})") from None
    enlarged = text_of(path).get(OWN_KEY)
    if enlarged is not None and (found is None or not found.samplers):
        return Info("not stated", {}, {}, enlarged)
    if found is None or not found.samplers:
        raise UserError(
            f"{path}: says nothing about how it was drawn; programs that change or send pictures often remove it"
        )
    first = found.samplers[0]
    settings: dict[str, Any] = {
        "prompt": "\n".join(prompt.value for prompt in first.prompts),
        "negative_prompt": "\n".join(prompt.value for prompt in first.negative_prompts),
    }
    other: dict[str, Any] = {}
    given = {**first.parameters, **found.metadata}
    _add_sampler(settings, other, first.name, str(given.pop("Schedule type", given.pop("scheduler", ""))))
    for key, value in given.items():
        name, kind = {**_NUMBERS, **_MORE}.get(key, ("", str))
        if key == "Size" and re.fullmatch(r"\d+x\d+", str(value)):
            settings |= dict(zip(("width", "height"), map(int, value.split("x"))))
        elif name and (number := _number(value, kind)) is not None:
            settings[name] = number
        elif key == "diffaug id":
            settings["id"] = value
        else:
            other[key] = value
    if first.model is not None:
        settings |= {"model": first.model.name, "model_hash": first.model.hash}
    program = "diffaug" if "id" in settings else found.generator.value
    kept = {key: value for key, value in settings.items() if value not in (None, "")}
    return Info(program, kept, other, enlarged)


def _number(value: Any, kind: type) -> Any | None:
    """The value as a number of this kind, None if it is none."""
    try:
        return kind(value)
    except (TypeError, ValueError):
        return None


def _add_sampler(settings: dict[str, Any], other: dict[str, Any], sampler: str | None, spacing: str) -> None:
    found = scheduler_of(sampler or "", spacing)
    if found is None:
        other |= {"sampler": sampler, "schedule": spacing or "not stated"}
    else:
        settings["scheduler"] = found


def scheduler_of(sampler: str, spacing: str) -> str | None:
    """Our name of a sampler of another program, and of the spacing of its steps; None if there is none."""
    named = {name.lower(): ours for ours, name in SAMPLERS.items()} | _OTHER
    name, last = sampler.strip().lower(), spacing.strip().lower()
    if last not in SPACINGS and name.rpartition(" ")[2] in SPACINGS:  # WebUI once wrote both together
        name, _, last = name.rpartition(" ")
    ours = named.get(name, name if name in SAMPLERS else None)
    return None if ours is None else f"{ours}_{last}" if last in SPACINGS else ours


def use_info(info: Info, section: str) -> list[str]:
    """Put the picture's settings into a section of params.yaml; returns the changed keys. Raises UserError."""
    chosen = {key: info.settings[key] for key in _USABLE if key in info.settings}
    if section != "generate" and not section.endswith("txt2img"):  # other modes take the size of their image
        chosen = {key: value for key, value in chosen.items() if key not in ("height", "width")}
    if section == "generate":
        chosen.pop("strength", None)  # only a mode has one
    elif "strength" in chosen:
        chosen["strength"] = [chosen["strength"]]
    text, changed = with_values({f"{section}.{key}": value for key, value in chosen.items()})
    with atomic_path(Path("params.yaml")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return changed
