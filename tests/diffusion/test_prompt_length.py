from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from settings import params

from diffaug.diffusion.opening import open_model
from diffaug.diffusion.prompt_length import refuse_long_prompts
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")
Folder = Callable[[str], Path]


class Recorder:
    """A tokenizer that keeps what it is given."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.given: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)

    def __call__(self, texts: str | list[str], **settings: Any) -> Any:
        self.given += [texts] if isinstance(texts, str) else texts
        return self.tokenizer(texts, **settings)


def tokens(pipeline: Any, text: str) -> int:
    """How many tokens the pipeline would read of the text if it did not cut it off, with all that it adds."""
    recorder = Recorder(pipeline.tokenizer)
    pipeline.tokenizer = recorder
    pipeline.encode_prompt([text], device=CPU)
    pipeline.tokenizer = recorder.tokenizer
    return len(recorder.tokenizer(recorder.given[0]).input_ids)


@pytest.mark.parametrize(("name", "limit"), [("kolors", 256), ("z_image", 512), ("flux2_klein", 512)])
def test_exactly_the_texts_that_a_language_model_would_not_read_are_refused(
    model_folder: Folder, name: str, limit: int
) -> None:
    """Their tokenizers state no limit, and with a chat's words around it a text is longer."""
    pipeline = open_model(params(model_folder(name)), CPU).pipeline
    one, two = (tokens(pipeline, "o " * count) for count in (1, 2))
    at_limit = (limit - one) // (two - one) + 1
    assert tokens(pipeline, "o " * at_limit) <= limit
    refuse_long_prompts(pipeline, ["o " * at_limit], "generate.prompt", {})
    message = (
        rf"generate.prompt: 'o o.* has {tokens(pipeline, 'o ' * (at_limit + 1))} tokens, but the model reads {limit}; "
        r"shorten it, or raise generate\.call\.max_sequence_length"
    )
    with pytest.raises(UserError, match=message):
        refuse_long_prompts(pipeline, ["o " * (at_limit + 1)], "generate.prompt", {})
    refuse_long_prompts(pipeline, ["o " * (at_limit + 1)], "generate.prompt", {"max_sequence_length": limit + 9})
    with pytest.raises(UserError, match="; shorten it, or use words of train_gen"):
        refuse_long_prompts(pipeline, ["o " * (at_limit + 1)], "train_gen.caption")


def test_clip_has_its_own_limit_whatever_a_second_encoder_reads(model_folder: Folder) -> None:
    """Stable Diffusion 3 without its T5, and FLUX, whose T5 reads more than its CLIP."""
    without = open_model(params(model_folder("sd3")), CPU).pipeline
    with pytest.raises(UserError, match="has 29 tokens, but the model reads 24; shorten it, or use words of"):
        refuse_long_prompts(without, ["zzz " * 9], "generate.prompt", {"max_sequence_length": 400})
    flux = open_model(params(model_folder("flux")), CPU).pipeline
    refuse_long_prompts(flux, ["zzz " * 9], "generate.prompt")
    with pytest.raises(UserError, match="but the model reads 48; shorten it"):  # of its tokenizer, below the call's 512
        refuse_long_prompts(flux, ["zzz " * 19], "generate.prompt")
    with pytest.raises(UserError, match="but the model reads 30; shorten it, or raise"):
        refuse_long_prompts(flux, ["zzz " * 9], "generate.prompt", {"max_sequence_length": 30})
