"""The optimisers of LoRA training: AdamW, and AdamW whose state takes a quarter of the memory."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import nn

from diffaug.params.train_gen import LoraParams
from diffaug.runtime.errors import UserError

_NESTED = "__bnb_optimizer_quant_state__"  # where bitsandbytes puts the tensors of a parameter's state
_KEY = "params.yaml: train_gen.lora.optimizer"


def refuse_optimizer(lora: LoraParams, device: torch.device) -> None:
    """Raises UserError if the optimiser of the params needs a missing package, or does not run on the device."""
    if lora.optimizer == "adamw8bit":
        _adamw8bit()
        if device.type == "mps":
            raise UserError(f"{_KEY}: bitsandbytes has no adamw8bit for Apple's GPU; set adamw")


def make_optimizer(parameters: Iterable[nn.Parameter], lora: LoraParams) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), or the same with the state of matrices of 4,096 numbers or
    more in 8 bits, by blocks of 256 (Dettmers et al. 2022, arXiv:2110.02861)."""
    if lora.optimizer == "adamw8bit":
        return _adamw8bit()(parameters, lr=lora.learning_rate, weight_decay=0.01)
    return torch.optim.AdamW(parameters, lr=lora.learning_rate, weight_decay=0.01, fused=True)


@cache
def _adamw8bit() -> Any:
    """bitsandbytes' class, whose saved state is made of tensors only, as PyTorch's is: checkpoints take no other."""
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError:
        raise UserError(
            f"{_KEY}: bitsandbytes is not installed; run `.venv/bin/pip install bitsandbytes`, or set adamw"
        ) from None

    class Flat(AdamW8bit):
        def state_dict(self) -> dict[str, Any]:
            saved = super().state_dict()
            state = {
                number: {"step": torch.tensor(float(one["step"]))} | one[_NESTED]
                for number, one in saved["state"].items()
            }
            return saved | {"state": state}

        def load_state_dict(self, state_dict: dict[str, Any], move_to_device: bool = True) -> None:
            state = {number: one | {"step": int(one["step"])} for number, one in state_dict["state"].items()}
            super().load_state_dict(state_dict | {"state": state}, move_to_device)

    return Flat
