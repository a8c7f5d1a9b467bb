from pathlib import Path

import pytest
import torch

from diffaug.runtime.checkpoint import load_checkpoint, save_checkpoint
from diffaug.runtime.errors import UserError


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    network = torch.nn.Linear(3, 3)
    optimizer = torch.optim.AdamW(network.parameters())
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"net": network}, optimizer, {"step": 5})
    assert load_checkpoint(path, {"net": network}, optimizer)[0] == {"step": 5}
    whole = path.read_bytes()
    for content in (whole[:-10], whole[:4], b"", whole.replace(b'"facts"', b'"fucts"')):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"checkpoint\.safetensors: damaged \(.*\); delete it and run again"):
            load_checkpoint(path, {"net": network}, optimizer)
