from pathlib import Path

import pytest
import torch

from diffaug.generator_training.latents import kept


def test_latents_are_encoded_once(tmp_path: Path) -> None:
    mean, std = torch.randn(3, 2, 4, 4), torch.rand(3, 2, 4, 4)
    first = kept(tmp_path / "latents.safetensors", lambda: (mean, std))
    again = kept(tmp_path / "latents.safetensors", lambda: pytest.fail("they were encoded again"))
    for one, other in zip(first, again):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()  # otherwise what is computed from them is rounded differently
    assert torch.equal(again[0], mean) and torch.equal(again[1], std)
