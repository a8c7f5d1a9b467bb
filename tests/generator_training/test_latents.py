from pathlib import Path

import pytest
import torch

from diffaug.generator_training.latents import encode_all, kept
from diffaug.generator_training.parts import build_vae
from diffaug.runtime.errors import UserError


def test_latents_are_encoded_once(tmp_path: Path) -> None:
    mean, std = torch.randn(3, 2, 4, 4), torch.rand(3, 2, 4, 4)
    first = kept(tmp_path / "latents.safetensors", lambda: (mean, std))
    again = kept(tmp_path / "latents.safetensors", lambda: pytest.fail("they were encoded again"))
    for one, other in zip(first, again):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()  # otherwise what is computed from them is rounded differently
    assert torch.equal(again[0], mean) and torch.equal(again[1], std)


def test_latents_that_are_not_finite_stop_the_training(tmp_path: Path) -> None:
    vae = build_vae(16, [8, 8, 8], 4)
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    assert encode_all(vae, images)[0].shape[0] == 2
    for weight in vae.encoder.parameters():
        weight.data.mul_(1e38)
    with pytest.raises(UserError, match="the VAE gives latents that are not finite numbers"):
        kept(tmp_path / "latents.safetensors", lambda: encode_all(vae, images))
    assert not (tmp_path / "latents.safetensors").exists()
