"""`diffaug convert`: a pickled checkpoint (.ckpt, .pt) as .safetensors, which cannot run code when it is opened."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from diffaug.hub.pickled import read_pickled
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

_STORED = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)


def convert(source: Path, target: Path, half: bool) -> str:
    """Write the tensors of `source` to `target`, and return a line for each thing to know. half: in float16.

    Raises UserError if the source is no checkpoint, or the target exists.
    """
    if target.suffix != ".safetensors":
        raise UserError(f"{target}: must end with .safetensors")
    if target.exists():
        raise UserError(f"{target}: exists already; remove it, or choose another name")
    tensors, left_out = read_pickled(source)
    kept = _apart({name: _half(name, value, source) if half else value for name, value in tensors.items()}, source)
    with atomic_path(target) as temporary:
        save_file(kept, temporary, metadata={"format": "pt"})
    size = sum(value.numel() * value.element_size() for value in kept.values())
    lines = [f"{target}: {len(kept)} tensors, {size / 1e9:.2f} GB", *(f"left out: {one}" for one in left_out)]
    return "\n".join(lines)


def _half(name: str, value: Tensor, source: Path) -> Tensor:
    if value.dtype not in (torch.float32, torch.float64):
        return value
    narrow = value.half()
    if narrow.isinf().sum() > value.isinf().sum():
        raise UserError(f"{source}: {name} has numbers that float16 cannot hold; leave out --half")
    return narrow


def _apart(tensors: dict[str, Tensor], source: Path) -> dict[str, Tensor]:
    """Each tensor in memory of its own, since the format stores none that share it."""
    seen: set[int] = set()
    apart = {}
    for name, value in tensors.items():
        if value.is_complex() or value.dtype not in _STORED:
            raise UserError(f"{source}: {name} has numbers of type {value.dtype}, which .safetensors does not hold")
        value = value.contiguous()
        storage = value.untyped_storage()
        alone = storage.data_ptr() not in seen and storage.nbytes() == value.numel() * value.element_size()
        seen.add(storage.data_ptr())
        apart[name] = value if alone else value.clone()
    return apart
