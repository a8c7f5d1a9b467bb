"""The small files of a model, which others wrote: read within limits, so that they cannot fill the memory."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from diffaug.runtime.errors import UserError

# Published models stay far below: the largest tokenizers have 35 MB and 600,000 entries, networks 200 layers.
MAX_BYTES = 64 * 2**20
MAX_VALUES = 5_000_000
MAX_DEPTH = 64
MAX_ENTRIES = 1_000_000  # of one list or mapping, lines of a text
MAX_LAYERS = 1_000
MAX_SIZE = 1_000_000  # channels, heads, words, steps of the noise schedule
MAX_POSITIONS = 2**24
MAX_CLASSES = 30_000  # of a classifier or detector; ImageNet-21k has 21,841
_LIMITS = (
    (re.compile(r"layers|^n_layer$|blocks$|depths?$|repeats$"), MAX_LAYERS),
    (re.compile(r"(^|_)labels$"), MAX_CLASSES),
    (re.compile(r"(^|_)(size|dims?|channels|heads?|timesteps|groups|experts|frames|n_embd|n_inner)$"), MAX_SIZE),
    (re.compile(r"(^|_)(embeddings|positions)$"), MAX_POSITIONS),
)
SMALL_FILES = (".json", ".txt", ".model")
_AGAIN = "fetch the model again, or take another"
Facts = TypeVar("Facts", bound=BaseModel)


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises UserError if it is not JSON, or too large or too deep."""
    _refuse_long(path)
    try:
        text = path.read_text(encoding="utf-8")
        if (count := text.count(",")) > MAX_VALUES:
            raise UserError(f"{path}: has {count} values, and at most {MAX_VALUES} are allowed; {_AGAIN}")
        content = json.loads(text)
        for _ in _containers(content, path):
            pass
    except RecursionError:
        raise UserError(f"{path}: is nested more than {MAX_DEPTH} deep; {_AGAIN}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable ({error}); {_AGAIN}") from None
    return content


def read_mapping(path: Path) -> dict[str, Any]:
    """The content of a JSON file that is a mapping. Raises UserError if it is not."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: found a {type(content).__name__}; allowed is a mapping; {_AGAIN}")
    return content


def read_facts(path: Path, kind: type[Facts], advice: str = _AGAIN) -> Facts:
    """A JSON file as a checked model. Raises UserError with the key and what was found."""
    content = read_mapping(path)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) + ": " if first["loc"] else ""
        found = "" if first["type"] == "missing" else f", found {shortened(first['input'])}"
        reason = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}: {key}{reason}{found}; {advice}") from None


def read_shards(index: Path) -> list[str]:
    """The weight files that a `*.safetensors.index.json` names, sorted. Raises UserError if they are no file names."""
    names = read_mapping(index).get("weight_map")
    if not isinstance(names, dict):
        raise UserError(f"{index}: weight_map: found {shortened(names)}; allowed is a mapping to file names; {_AGAIN}")
    for name in names.values():
        if not (isinstance(name, str) and re.fullmatch(r"\w[\w.-]*", name)):
            raise UserError(
                f"{index}: weight_map: found {shortened(name)}; allowed are names of files in its folder; {_AGAIN}"
            )
    return sorted(set(names.values()))


def check_small_files(folder: Path) -> None:
    """Raises UserError if a file that opening this folder reads is damaged, or states sizes that no model has."""
    for path in sorted(folder.glob("*")):
        if path.suffix == ".json":
            _check_json(path)
        elif path.suffix in SMALL_FILES:
            _refuse_long(path)
            lines = path.read_bytes().count(b"\n") if path.suffix == ".txt" else 0
            if lines > MAX_ENTRIES:
                raise UserError(f"{path}: has {lines} lines, and at most {MAX_ENTRIES} are allowed; {_AGAIN}")


def _check_json(path: Path) -> None:
    if ".index." in path.name:
        read_shards(path)
    elif path.name == "tokenizer_config.json" or not path.name.endswith("config.json"):
        read_json(path)  # its keys can be words, so they say nothing about its numbers
    else:
        for key, values in _containers(read_mapping(path), path):
            named = values.items() if isinstance(values, dict) else ((key, one) for one in values)
            for name, value in named if key != "label2id" else ():  # its keys are words
                if isinstance(value, int):
                    _refuse_large(path, name, value)


def shortened(value: Any) -> str:
    """A value as it stands in a message: one line of at most 80 characters."""
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of more than 60 digits"
    text = repr(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _refuse_long(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path}: is not a file; {_AGAIN}")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UserError(f"{path}: has {size} bytes, and at most {MAX_BYTES} are allowed; {_AGAIN}")


def _refuse_large(path: Path, key: str, number: int) -> None:
    limit = next((limit for pattern, limit in _LIMITS if pattern.search(key)), None)
    if limit is not None and number > limit:
        raise UserError(f"{path}: {key}: found {shortened(number)}, and at most {limit} is allowed; {_AGAIN}")


def _containers(content: Any, path: Path) -> Iterator[tuple[str, dict | list]]:
    """Every mapping and list with its key, or that of the list that holds it. Raises UserError beyond the limits."""
    waiting = [("", content, 1)] if isinstance(content, dict | list) else []
    while waiting:
        key, values, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise UserError(f"{path}: is nested more than {MAX_DEPTH} deep; {_AGAIN}")
        if len(values) > MAX_ENTRIES:
            raise UserError(
                f"{path}: {key or 'it'} has {len(values)} entries, and at most {MAX_ENTRIES} are allowed; {_AGAIN}"
            )
        yield key, values
        inner = values.items() if isinstance(values, dict) else ((key, one) for one in values)
        waiting += [(name, one, depth + 1) for name, one in inner if isinstance(one, dict | list)]
