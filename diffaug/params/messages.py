"""A failed check of params.yaml as one line."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError


def one_line(path: Path, error: ValidationError) -> str:
    """The first problem: the key, the value found, what is allowed; and how many more there are."""
    problems = [_describe(problem) for problem in error.errors(include_url=False)]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{path}: {problems[0]}{more}"


def _describe(problem: Any) -> str:
    # A union's branch name ("fashion_mnist") stands in the location, though it is no key of the file.
    branches = {"bccd", "crops", "fashion_mnist", "folder", "hf", "oxford_iiit_pet", "scenes", "torchvision"}
    key = (
        ".".join(str(part) for place, part in enumerate(problem["loc"]) if not place or part not in branches)
        or "the file"
    )
    match problem["type"]:
        case "extra_forbidden":
            return (
                f"{key}: unknown key (value {problem['input']!r}); see the comments in params.yaml for the allowed ones"
            )
        case "missing":
            return f"{key}: missing; every key must be given, see the params.yaml that came with the project"
        case "value_error":
            found = "" if isinstance(problem["input"], dict) else f" (found {problem['input']!r})"
            place = "" if key == "the file" else f"{key}: "
            return f"{place}{problem['msg'].removeprefix('Value error, ')}{found}"
        case _:
            return f"{key}: found {problem['input']!r}; {problem['msg'][0].lower()}{problem['msg'][1:]}"
