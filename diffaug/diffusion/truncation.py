"""Refuses prompts that a text encoder would cut off."""

from collections.abc import Mapping
from typing import Any

from diffaug.runtime.errors import UserError

_WAYS = "shorten it, or use words of train_gen.caption, which take one token each"


def refuse_truncation(
    tokenizer: Any, texts: Mapping[str, str], key: str, limit: int | None = None, ways: str = _WAYS
) -> None:
    """Raises UserError if a text has more tokens than the encoder reads: its end, often the class, would be lost.

    texts: from each, as the user wrote it, to what the tokenizer is given; limit: the tokens that are read, the
    tokenizer's own if None; ways: what to do.
    """
    limit = tokenizer.model_max_length if limit is None else limit
    for text, given in texts.items():
        count = len(tokenizer(given, truncation=False, verbose=False).input_ids)
        if count > limit:
            raise UserError(f"params.yaml: {key}: {text!r} has {count} tokens, but the model reads {limit}; {ways}")
