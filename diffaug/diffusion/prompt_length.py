"""How much of a prompt a pipeline reads, and the prompts that it would cut off."""

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from transformers import CLIPTokenizer, PreTrainedTokenizerBase

from diffaug.diffusion.abilities import code_of, takes
from diffaug.diffusion.truncation import refuse_truncation

_LENGTH = "max_sequence_length"


def refuse_long_prompts(pipeline: Any, texts: Iterable[str], key: str, call: Mapping[str, Any] | None = None) -> None:
    """Raises UserError if a text is too long for the text encoder with the largest limit: its end, often the class,
    would be lost. call: generate.call, whose max_sequence_length may change the limit; None in training."""
    limits = {name: _limit(pipeline, part, call or {}) for name, part in tokenizers(pipeline).items()}
    known = {name: limit for name, limit in limits.items() if limit < 10**6}  # a tokenizer without a limit says 10**30
    if not known:
        return
    name = max(known, key=lambda one: known[one])
    reader, limit = tokenizers(pipeline)[name], known[name]
    read = {text: _as_given(pipeline, reader, text) for text in texts}
    raised = call is not None and limit < reader.model_max_length
    ways = {"ways": f"shorten it, or raise generate.call.{_LENGTH} if the model can"} if raised else {}
    refuse_truncation(reader, read, key, limit, **ways)


def tokenizers(pipeline: Any) -> dict[str, PreTrainedTokenizerBase]:
    """The pipeline's tokenizers by their names in it."""
    parts = pipeline.components.items()
    return {name: part for name, part in parts if isinstance(part, PreTrainedTokenizerBase)}


def _limit(pipeline: Any, tokenizer: PreTrainedTokenizerBase, call: Mapping[str, Any]) -> int:
    """How many tokens are read. CLIP has its own limit; a pipeline cuts off the text of a language model itself."""
    if _LENGTH not in takes(pipeline) or isinstance(tokenizer, CLIPTokenizer):
        return tokenizer.model_max_length
    return min(tokenizer.model_max_length, call.get(_LENGTH, takes(pipeline)[_LENGTH].default))


def _as_given(pipeline: Any, tokenizer: Any, text: str) -> str:
    """The text as the pipeline gives it to the tokenizer: with a token for every further vector of an embedding, or as
    a message to a language model."""
    expand = getattr(pipeline, "maybe_convert_prompt", None)
    if expand:
        return expand(text, tokenizer)
    chat = _chat(type(pipeline))  # type: ignore[arg-type]  # mypy: a class is hashable
    if chat is None or not getattr(tokenizer, "chat_template", None):
        return text
    return tokenizer.apply_chat_template([{"role": "user", "content": text}], **chat | {"tokenize": False})


@cache
def _chat(kind: type) -> dict[str, Any] | None:
    """The constants that a pipeline's code gives to apply_chat_template; None if it does not call it."""
    for one in ast.walk(code_of(kind)):
        match one:
            case ast.Call(func=ast.Attribute(attr="apply_chat_template"), keywords=words):
                return {str(word.arg): word.value.value for word in words if isinstance(word.value, ast.Constant)}
    return None
