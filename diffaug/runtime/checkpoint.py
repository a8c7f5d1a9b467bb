"""The state of a training in one safetensors file, from which a killed run goes on with the same bytes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

_FACTS = "facts"  # the only key of the metadata: safetensors writes several in random order


def save_checkpoint(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    facts: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the networks, the optimiser's state, other tensors, and facts that JSON can hold."""
    content = {f"{name}.{key}": value for name, one in networks.items() for key, value in one.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        content |= {f"optimizer.{number}.{key}": value for key, value in state.items()}
    content |= {f"tensors.{key}": value for key, value in (tensors or {}).items()}
    with atomic_path(path) as temporary:
        save_file(
            {key: value.contiguous().clone() for key, value in content.items()},
            temporary,
            metadata={_FACTS: json.dumps(facts)},
        )


def load_checkpoint(
    path: Path, networks: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Put the networks and the optimiser into the saved state; the facts and the other tensors. Raises UserError if the
    file is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()[_FACTS])
            content = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: damaged ({reason}); delete it and run again: the training begins anew") from None
    for name, network in networks.items():
        network.load_state_dict(_below(content, f"{name}."))
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _below(content, "optimizer.").items():
        number, _, field = key.partition(".")
        state.setdefault(int(number), {})[field] = _laid_out_like(parameters[int(number)], value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return facts, _below(content, "tensors.")


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the memory format of its parameter: fused optimisers do not look at strides."""
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value) if value.shape == parameter.shape else value


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
