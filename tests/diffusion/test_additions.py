"""How much of a LoRA or of a learned word fits, and what happens if it is little."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import small_models
import torch
from damage import refused
from safetensors.torch import save_file
from settings import params

from diffaug.diffusion.opening import Model, open_model
from diffaug.diffusion.prompt_length import refuse_long_prompts
from diffaug.runtime.errors import UserError

BLOCK = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.stable_diffusion(tmp_path_factory.mktemp("models") / "sd")


def lora(file: Path, *modules: str) -> dict[str, Any]:
    """A LoRA of rank 1 for these modules, of 8 inputs and outputs."""
    weights = {}
    for module in modules:
        weights |= {f"{module}.lora_A.weight": torch.ones(1, 16), f"{module}.lora_B.weight": torch.ones(16, 1)}
    save_file(weights, file)
    return {"loras": [{"path": str(file), "scale": 1.0}]}


def opened(folder: Path, **changes: Any) -> Model:
    return open_model(params(model={"name": str(folder)}, **changes), torch.device("cpu"))


def test_a_lora_that_fits_by_half_is_used_and_says_so(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "lora.safetensors"
    model = opened(folder, **lora(file, f"{BLOCK}.to_q", f"{BLOCK}.to_k", "unet.of.another", "unet.and.another"))
    assert model.notes == (f"generate.loras: {file}: 2 of 4 modules fit StableDiffusionPipeline",)


def test_a_lora_that_fits_by_less_than_half_is_refused(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "lora.safetensors"
    given = lora(file, f"{BLOCK}.to_q", "unet.of.another", "unet.and.another")
    message = refused(lambda: opened(folder, **given))
    assert message == (
        f"params.yaml: generate.loras: {file}: 1 of 3 modules fit StableDiffusionPipeline, which is less than half: it "
        "was made for another model; remove it"
    )


def test_an_embedding_of_one_text_encoder_says_so(tmp_path: Path) -> None:
    folder = small_models.sdxl(tmp_path / "sdxl")
    file = tmp_path / "word.safetensors"
    save_file({"<x>": torch.ones(16)}, file)
    model = opened(folder, embeddings=[{"path": str(file), "token": "<x>"}])
    assert model.notes == (f"generate.embeddings: {file}: 1 of 2 text encoders fit StableDiffusionXLPipeline",)


def pooled(folder: Path, prompt: str, **changes: Any) -> torch.Tensor:
    """What SDXL's second text encoder says of the whole text, and whether it is the state at the end of the text."""
    pipeline = opened(folder, **changes).pipeline
    reader, encoder = pipeline.tokenizer_2, pipeline.text_encoder_2
    tokens = reader(prompt, padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        found = encoder(tokens)
        end = tokens[0].tolist().index(reader.eos_token_id)
        assert torch.allclose(found.text_embeds[0], encoder.text_projection(found.last_hidden_state[0, end]), atol=1e-6)
    return found.text_embeds


def test_a_learned_word_is_not_taken_for_the_end_of_the_text(tmp_path: Path) -> None:
    """SDXL's configuration says that texts end with token 2, by which the largest token was taken for the end."""
    folder = small_models.sdxl(tmp_path / "sdxl")
    for part in ("text_encoder", "text_encoder_2"):
        config = folder / part / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": 2}))
    file = tmp_path / "word.safetensors"
    save_file({"clip_l": torch.ones(2, 16), "clip_g": torch.ones(2, 16)}, file)
    taught = {"embeddings": [{"path": str(file), "token": "<x>"}]}
    assert not torch.equal(pooled(folder, "a <x> cat", **taught), pooled(folder, "a <x> dog", **taught))
    assert torch.allclose(pooled(folder, "a cat"), pooled(folder, "a cat", **taught), atol=1e-6)


@pytest.mark.parametrize("vectors", [1, 3])
def test_an_embedding_of_webui_has_its_vectors(folder: Path, tmp_path: Path, vectors: int) -> None:
    """WebUI's .safetensors for Stable Diffusion 1: one tensor, emb_params, a row for each token."""
    file = tmp_path / "word.safetensors"
    rows = torch.randn(vectors, 16)
    save_file({"emb_params": rows}, file)
    pipeline = opened(folder, embeddings=[{"path": str(file), "token": "my-cat"}]).pipeline
    text = pipeline.maybe_convert_prompt("a my-cat", pipeline.tokenizer)
    tokens = pipeline.tokenizer(text).input_ids[2:-1]
    assert len(tokens) == vectors
    assert torch.equal(pipeline.text_encoder.get_input_embeddings().weight[tokens], rows)


def test_tokens_are_counted_after_an_embedding_is_expanded(folder: Path, tmp_path: Path) -> None:
    """A word of 12 vectors takes 12 of the 24 tokens, twice; it counted as two, and the class was cut off."""
    file = tmp_path / "word.safetensors"
    save_file({"<x>": torch.ones(12, 16)}, file)
    pipeline = opened(folder, embeddings=[{"path": str(file), "token": "<x>"}]).pipeline
    refuse_long_prompts(pipeline, ["a <x> cat"], "generate.prompt")
    with pytest.raises(UserError, match=re.escape("'a <x> photo of a <x> cat' has 31 tokens, but the model reads 24")):
        refuse_long_prompts(pipeline, ["a <x> photo of a <x> cat"], "generate.prompt")


def test_clip_skip_takes_the_layer_before_the_last(folder: Path) -> None:
    """diffusers asks for a part of the text encoder that transformers 5 does not have, which ended in a traceback."""
    pipeline: Any = opened(folder).pipeline
    encoder, tokenizer = pipeline.text_encoder, pipeline.tokenizer
    tokens = tokenizer("a photo of a cat", padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        layers = encoder(tokens, output_hidden_states=True).hidden_states
        expected = encoder.final_layer_norm(layers[-2])
        found = pipeline.encode_prompt("a photo of a cat", torch.device("cpu"), 1, False, clip_skip=1)[0]
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found, encoder.final_layer_norm(layers[-1]), atol=1e-3)
    assert not [name for name, _ in encoder.named_modules() if "text_model" in name]
