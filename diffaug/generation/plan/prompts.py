"""Prompts of every class: templates, synonyms, attributes in all combinations, or a file of prompts."""

import argparse
import itertools
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from diffaug.params.base import visible
from diffaug.params.generate import GenerateParams, Mode
from diffaug.params.sampling import Sampling, checked
from diffaug.runtime.errors import UserError

_MOST = 100_000  # prompts of one template
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Variant:
    """One prompt of a class, and the settings that its line of the prompts file overrides."""

    prompt: str
    negative_prompt: str
    overrides: Mapping[str, Any] = field(default_factory=dict)


def check_classes(params: GenerateParams, names: Sequence[str]) -> None:
    """Raises UserError if `classes` or the prompts file names a class that neither task has (`names`: of both)."""
    unknown = sorted(set(params.classes) - set(names))
    if unknown:
        raise UserError(
            f"params.yaml: generate.classes.{unknown[0]}: there is no such class; the classes are {', '.join(names)}"
        )
    for line in _read_file(Path(params.prompts_file)) if params.prompts_file else ():
        if line.name is not None and line.name not in names:
            raise UserError(f"{line.where}: --class {line.name!r} is not a class; the classes are {', '.join(names)}")


def class_variants(params: GenerateParams, mode: Mode | None, names: Sequence[str]) -> list[list[Variant]]:
    """The variants of every class, in an order that mixes all attributes early and depends only on the class.

    A mode's own prompt overrides a class's, which overrides the general prompt or the prompts file.
    """
    lines = None
    if params.prompts_file and not (mode and mode.prompt):
        lines = _read_file(Path(params.prompts_file))
    return [_variants(params, mode, name, lines) for name in names]


def _variants(params: GenerateParams, mode: Mode | None, name: str, lines: list["_Line"] | None) -> list[Variant]:
    own = params.classes.get(name)
    negatives = (mode and mode.negative_prompt, own and own.negative_prompt, params.negative_prompt)
    negative = next(text for text in negatives if isinstance(text, str))
    words = {"class": (own and own.synonyms) or [name], **params.attributes}
    templates = (mode and mode.prompt) or (own and own.prompt)
    if templates is None and lines is not None:
        chosen = [line for line in lines if line.name in (None, name)]
        if not chosen:
            raise UserError(
                f"{params.prompts_file}: no prompt for the class {name!r}; add a line for it, or one for all classes"
            )
    else:
        chosen = [_Line(template) for template in templates or params.prompt]
    variants = [
        Variant(text, negative if line.negative_prompt is None else line.negative_prompt, line.overrides)
        for line in chosen
        for text in expand(line.prompt, words, line.where)
    ]
    order = np.random.default_rng([params.seed, *name.encode()]).permutation(len(variants))
    return [variants[place] for place in order]


def read_prompts(path: Path, negative: str) -> list[Variant]:
    """The prompts of a file as they are, for any picture: neither {class} nor other fields are filled in. negative: for
    the lines without one. Raises UserError if it has none, or a line is not understood."""
    return [
        Variant(line.prompt, negative if line.negative_prompt is None else line.negative_prompt, line.overrides)
        for line in _read_file(path, of_classes=False)
    ]


def expand(template: str, words: Mapping[str, Sequence[str]], where: str) -> list[str]:
    """The template with every combination of words in its {fields}. Raises UserError for an unknown field.

    where: the place of the template, for the message.
    """
    fields = list(dict.fromkeys(_FIELD.findall(template)))
    for name in fields:
        if name not in words:
            raise UserError(
                f"{where}: {template!r} has {{{name}}}, which is neither {{class}} nor one of "
                f"generate.attributes ({', '.join(sorted(set(words) - {'class'})) or 'which is empty'})"
            )
    count = math.prod(len(words[name]) for name in fields)
    if count > _MOST:
        raise UserError(
            f"{where}: {template[:60]!r} has {count} combinations of words, but at most {_MOST} are allowed; use fewer "
            "{words}, or fewer values in generate.attributes"
        )
    combinations = itertools.product(*(words[name] for name in fields))
    return [_fill(template, dict(zip(fields, combination))) for combination in combinations]


def _fill(template: str, words: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda match: words[match[1]], template)


@dataclass(frozen=True)
class _Line:
    prompt: str
    negative_prompt: str | None = None
    name: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    where: str = "params.yaml: generate.prompt"


class _LineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parser() -> _LineParser:
    # The options of Stable Diffusion WebUI's "Prompts from file or textbox" that do not set its own image size.
    parser = _LineParser(prog="prompts", add_help=False, allow_abbrev=False)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--negative_prompt")
    parser.add_argument("--class", dest="name")
    parser.add_argument("--steps", dest="num_inference_steps", type=int)
    parser.add_argument("--cfg_scale", dest="guidance_scale", type=float)
    parser.add_argument("--sampler_name", dest="scheduler")
    parser.add_argument("--width", type=int)
    parser.add_argument("--height", type=int)
    return parser


def _read_file(path: Path, of_classes: bool = True) -> list[_Line]:
    """One prompt per line; `#` begins a comment; a line beginning with `--` has options, see prompts/README.md.
    of_classes: each line must name the class for which it is."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        advice = "correct generate.prompts_file" if of_classes else "name a text file with one prompt per line"
        raise UserError(f"{path}: not readable ({error}); {advice}") from None
    lines = []
    for number, written in enumerate(text.splitlines(), 1):
        content = written.strip()
        if not content or content.startswith("#"):
            continue
        try:
            line = _parse(content)
            if of_classes:
                _says_class(line)
            lines.append(replace(line, where=f"{path}: line {number}"))
        except ValueError as error:
            raise UserError(f"{path}: line {number}: {error}") from None
    if not lines:
        raise UserError(f"{path}: has no prompt; write one per line")
    return lines


def _parse(content: str) -> _Line:
    if not content.startswith("--"):
        return _visible(_Line(content))
    given = {key: value for key, value in vars(_parser().parse_args(shlex.split(content))).items() if value is not None}
    name = given.pop("name", None)
    text, negative = given.pop("prompt"), given.pop("negative_prompt", None)
    return _visible(_Line(text, negative, name, checked(Sampling, given)))


def _visible(line: _Line) -> _Line:
    visible(f"{line.prompt} {line.negative_prompt or ''}")
    return line


def _says_class(line: _Line) -> None:
    if line.name is None and "{class}" not in line.prompt:
        raise ValueError(f"{line.prompt!r} would be drawn for every class; add {{class}}, or --class NAME")
