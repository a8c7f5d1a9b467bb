"""Refuses prompts that a text encoder would cut off."""

from collections.abc import Iterable
from typing import Any

from diffaug.runtime.errors import UserError


def refuse_truncation(tokenizer: Any, texts: Iterable[str], key: str) -> None:
    """Raises UserError if a text has more tokens than the encoder reads: its end, often the class, would be lost."""
    for text in texts:
        count = len(tokenizer(text, truncation=False, verbose=False).input_ids)
        if count > tokenizer.model_max_length:
            raise UserError(
                f"params.yaml: {key}: {text!r} has {count} tokens, but the model reads {tokenizer.model_max_length}; "
                "shorten it, or use words of train_gen.caption, which take one token each"
            )
