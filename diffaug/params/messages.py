"""A failed check of params.yaml as one line."""

import difflib
import re
from decimal import Decimal
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from diffaug.params.download import source_names

_SHOWN, _LONGEST = 3, 60  # largest number of problems; of characters of a value
# The names of our keys in Stable Diffusion WebUI and Ultralytics.
_ELSEWHERE = {
    "steps": "num_inference_steps",
    "sampling_steps": "num_inference_steps",
    "cfg": "guidance_scale",
    "cfg_scale": "guidance_scale",
    "sampler": "scheduler",
    "sampler_name": "scheduler",
    "denoising_strength": "strength",
    "mask_blur": "feather",
    "imgsz": "image_size",
    "batch": "batch_size",
    "lr": "learning_rate",
    "lr0": "learning_rate",
    "epochs": "steps",
}


# What a value must be, by pydantic's name of the fault.
_KINDS = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "list_type": "must be a list, in [ ]",
    "too_short": "must not be empty",
    "dict_type": "must be a section with keys",
    "model_type": "must be a section with keys",
    "model_attributes_type": "must be a section with keys",
}


def one_line(name: str, error: ValidationError, model: type[BaseModel]) -> str:
    """The name of the file, and the first problems of a value that should be a `model`."""
    return f"{name}: {problems_of(error, model)}"


def problems_of(error: ValidationError, model: type[BaseModel]) -> str:
    """The first problems of a value that should be a `model`, unknown keys first: the key, the value found, what is
    allowed; and how many more problems there are."""
    errors = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] != "extra_forbidden")
    missing = {problem["loc"] for problem in errors if problem["type"] == "missing"}
    unknown = [problem["loc"] for problem in errors if problem["type"] == "extra_forbidden"]
    allowed = {key: _allowed(model, key[:-1]) for key in unknown}
    meant = {key: _meant(key, missing, allowed[key]) for key in unknown}
    # A missing key is not reported if an unknown key was probably meant for it.
    problems = [
        _describe(problem, meant.get(problem["loc"]), allowed.get(problem["loc"], []))
        for problem in errors
        if problem["type"] != "missing" or problem["loc"][-1] not in meant.values()
    ]
    more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
    return f"{'; '.join(problems[:_SHOWN])}{more}"


def _allowed(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys of the section at a place in the model."""
    models = [model]
    for part in place:
        fields = [one.model_fields[part].annotation for one in models if part in one.model_fields]
        # A name that is not a field is a branch of a union, named by its source, or a key or index of a container.
        branch = [one for one in models if part in get_args(_annotation(one, "source"))]
        models = [found for one in fields for found in _models(one)] or branch or models
    return [name for one in models for name in one.model_fields]


def _annotation(model: type[BaseModel], field: str) -> Any:
    return model.model_fields[field].annotation if field in model.model_fields else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The sections in a field's type, such as those of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for one in get_args(annotation) for found in _models(one)]


def _meant(key: tuple[int | str, ...], missing: set[tuple[int | str, ...]], allowed: list[str]) -> str | None:
    """The key that an unknown key was probably meant for: another tool's name for it, or a misspelling."""
    name = str(key[-1])
    beside = [str(one[-1]) for one in missing if one[:-1] == key[:-1]]
    elsewhere = _ELSEWHERE.get(name.lower())
    if elsewhere is not None and (elsewhere in beside or not beside):
        return elsewhere
    near = [*difflib.get_close_matches(name, beside, n=1), *difflib.get_close_matches(name, allowed, n=1)]
    return next(iter(near), None)


def _describe(problem: Any, meant: str | None, allowed: list[str]) -> str:
    # The name of a source ("fashion_mnist") is in the location, as a branch of a union, but is not a key of the file.
    sources = source_names()
    key = (
        ".".join(str(part) for place, part in enumerate(problem["loc"]) if not place or part not in sources)
        or "the file"
    )
    match problem["type"]:
        case "extra_forbidden":
            advice = f"did you mean {meant}?" if meant else f"allowed are {', '.join(allowed)}"
            return f"{key}: unknown key (value {_shown(problem['input'])}); {advice}"
        case "missing":
            return f"{key}: missing; every key must be given, see the params.yaml that came with the project"
        case "value_error":
            found = "" if isinstance(problem["input"], dict) else f" (found {_shown(problem['input'])})"
            place = "" if key == "the file" else f"{key}: "
            return f"{place}{problem['msg'].removeprefix('Value error, ')}{found}"
        case "union_tag_invalid":
            found, tags = problem["ctx"]["tag"], problem["ctx"]["expected_tags"].replace("'", "")
            near = difflib.get_close_matches(found, tags.split(", "), n=1)
            return f"{key}.source: found {found!r}; {f'did you mean {near[0]}?' if near else f'allowed are {tags}'}"
        case "float_type" | "float_parsing" if _is_number(problem["input"]):
            return f"{key}: found {problem['input']!r}, which YAML reads as text; write {Decimal(problem['input']):f}"
        case kind if kind in _KINDS:
            return f"{key}: found {_shown(problem['input'])}; {_KINDS[kind]}{_quotes(kind, problem['input'])}"
        case _:
            return f"{key}: found {_shown(problem['input'])}; {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _quotes(kind: str, found: Any) -> str:
    """What to do if quotes alone are the mistake."""
    if kind == "string_type" and isinstance(found, (int, float)):
        return "; put it into quotes"
    return ", without quotes" if kind == "int_type" and _is_number(found) else ""


def _shown(value: Any) -> str:
    """The value as in the file, shortened; not as Python's name of a section."""
    plain = value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value
    try:
        text = repr(plain)
    except ValueError:  # an integer of more digits than Python prints
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


def _is_number(text: Any) -> bool:
    """Whether it is text such as 1e-3, which other programs read as a number; YAML 1.1 needs a dot in it: 1.0e-3."""
    return isinstance(text, str) and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None
