"""Encodes each distinct prompt once, alone: this is faster, and independent of the other prompts in its batch."""

import inspect
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

_KEPT = 64  # distinct prompts; one takes 0.3 MB with SD 1.5, 4 MB with a T5 encoder


def remember_prompts(pipeline: Any) -> None:
    """Make the pipeline's `encode_prompt` reuse the encoding of a prompt that it has encoded before."""
    if hasattr(pipeline, "encode_prompt"):
        pipeline.encode_prompt = _remembering(pipeline.encode_prompt)


def _remembering(encode: Callable[..., Any]) -> Callable[..., Any]:
    memory: OrderedDict[str, Any] = OrderedDict()
    signature = inspect.signature(encode)

    @wraps(encode)
    def remembered(*arguments: Any, **settings: Any) -> Any:
        bound = signature.bind(*arguments, **settings)
        prompts = bound.arguments.get("prompt")
        if not isinstance(prompts, list) or any(isinstance(value, torch.Tensor) for value in bound.arguments.values()):
            return encode(*arguments, **settings)
        encoded = []
        for row in range(len(prompts)):
            own = signature.bind(*arguments, **settings)
            own.arguments.update({name: _row(value, row, len(prompts)) for name, value in own.arguments.items()})
            key = repr(sorted(own.arguments.items()))
            if key not in memory:
                memory[key] = encode(*own.args, **own.kwargs)
            memory.move_to_end(key)
            encoded.append(memory[key])
        while len(memory) > _KEPT:
            memory.popitem(last=False)
        joined = _join(encoded)
        return encode(*arguments, **settings) if joined is None else joined

    return remembered


def _row(value: Any, row: int, rows: int) -> Any:
    return [value[row]] if isinstance(value, list) and len(value) == rows else value


def _join(encoded: list[Any]) -> Any:
    """The joined rows; None if they have different lengths (then the encoder has to pad them itself)."""
    first = encoded[0]
    if isinstance(first, tuple):
        parts = [_join([row[place] for row in encoded]) for place in range(len(first))]
        uneven = any(part is None and item is not None for part, item in zip(parts, first))
        return None if uneven else tuple(parts)
    if isinstance(first, list):  # one tensor per prompt, each with its own length
        return [item for row in encoded for item in row]
    if not isinstance(first, torch.Tensor) or first.shape[:1] != (1,):
        return first  # the same for all prompts, such as position numbers
    return torch.cat(encoded) if len({item.shape for item in encoded}) == 1 else None
