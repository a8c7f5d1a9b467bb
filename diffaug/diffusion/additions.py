"""What is added to a pipeline: learned words (textual inversion). What does not fit is said, or refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import CLIPPreTrainedModel

from diffaug.hub.opening import fitting
from diffaug.hub.pickled import convert_file
from diffaug.hub.weights import refuse_not_finite
from diffaug.params.generate import Embedding
from diffaug.runtime.errors import UserError
from diffaug.runtime.hashes import weights_sha256

_OLD_END = 2
EMBEDDING_FILE = "learned_embeds.safetensors"


def embedding_sha256(embedding: Embedding) -> str:
    """A hash of the file, and its token. Raises UserError if there is no such file."""
    return f"{weights_sha256(embedding_file(embedding))} {embedding.token}"


def embedding_file(embedding: Embedding) -> Path:
    """The .safetensors file of a learned word. Raises UserError if there is none."""
    return given_file(embedding.path, EMBEDDING_FILE, "generate.embeddings")


def load_embeddings(pipeline: Any, embeddings: Sequence[Embedding]) -> list[str]:
    """Add these tokens to the tokenizers (textual inversion, Gal et al. 2022, arXiv:2208.01618); a line on each says
    how much of it fits.

    Raises UserError if one is damaged, or fits less than half of the text encoders.
    """
    kind = type(pipeline).__name__
    if embeddings and not hasattr(pipeline, "load_textual_inversion"):
        raise UserError(f"params.yaml: generate.embeddings: {kind} does not support them; remove them")
    readers = [part for name, part in pipeline.components.items() if name.startswith("tokenizer") and part is not None]
    if embeddings:
        end_of_text(pipeline)
    notes = []
    for embedding in embeddings:
        file = embedding_file(embedding)
        with fitting("generate.embeddings", str(file), kind):
            state = load_file(file)
            refuse_not_finite(state, f"params.yaml: generate.embeddings: {file}")
            _teach(pipeline, state, embedding.token)
        know = sum(embedding.token in reader.get_vocab() for reader in readers)
        notes.append(how_much_fits(f"generate.embeddings: {file}", "text encoders", know, len(readers), kind))
    return notes


def how_much_fits(what: str, parts: str, fit: int, all: int, kind: str) -> str:
    """A line that says how many parts of a file fit this kind of pipeline. Raises UserError if less than half do."""
    fit = min(fit, all)
    said = f"{what}: {fit} of {all} {parts} fit {kind}"
    if 2 * fit < all:
        raise UserError(f"params.yaml: {said}, which is less than half: it was made for another model; remove it")
    return said


def end_of_text(pipeline: Any) -> None:
    """Let CLIP's text encoders look for the token that ends a text. Published configurations state an old number, 2, by
    which the largest token is taken for the end: a learned word, if there is one."""
    for number in ("", "_2"):
        encoder, tokenizer = (getattr(pipeline, f"{part}{number}", None) for part in ("text_encoder", "tokenizer"))
        for module in encoder.modules() if isinstance(encoder, CLIPPreTrainedModel) else ():
            if getattr(module, "eos_token_id", None) == _OLD_END and tokenizer is not None:
                module.eos_token_id = tokenizer.eos_token_id


def _teach(pipeline: Any, state: dict[str, torch.Tensor], token: str) -> None:
    if not {"clip_l", "clip_g"} <= set(state):
        pipeline.load_textual_inversion(state, token=token)
        return
    for part, number in (("clip_l", ""), ("clip_g", "_2")):  # SDXL's two text encoders in one file
        encoder, tokenizer = (getattr(pipeline, f"{kind}{number}") for kind in ("text_encoder", "tokenizer"))
        pipeline.load_textual_inversion(state[part], token=token, text_encoder=encoder, tokenizer=tokenizer)


def given_file(path: str, default: str, key: str) -> Path:
    """The .safetensors file that the params name, or the `default` in the folder that they name. Raises UserError."""
    file = Path(path).expanduser()
    file = file / default if file.is_dir() else file
    if not file.is_file():
        raise UserError(
            f"params.yaml: {key}: {file} does not exist; give a .safetensors file, or a folder with {default}"
        )
    if file.suffix != ".safetensors":
        raise UserError(
            f"params.yaml: {key}: {file} is not a .safetensors file, and opening it can run any code; "
            f"{convert_file(file)}"
        )
    return file
