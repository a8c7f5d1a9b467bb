from pathlib import Path

import pytest
import torch

from diffaug.generator.parts import assemble, build_text_encoder, build_tokenizer, build_unet, build_vae


@pytest.fixture(scope="session")
def random_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole Stable Diffusion of real parts with small random weights, saved as a diffusers folder."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(["a photo of a cat", "a photo of a dog"])
    pipeline = assemble(
        build_vae(16, [8, 8, 8], 4), build_unet(16, [8, 16], 4, 16), build_text_encoder(tokenizer, 16), tokenizer
    )
    folder = tmp_path_factory.mktemp("models") / "pipeline"
    pipeline.save_pretrained(folder)
    return folder
