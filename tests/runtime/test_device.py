"""The choice of a device, on machines that this one is not: nothing is computed on them."""

import pytest
import torch

from diffaug.runtime.device import choose_device


@pytest.mark.parametrize(
    ("cuda", "apple", "chosen"), [(True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_gpu_is_chosen_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, apple: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)
    assert choose_device() == torch.device(chosen)
