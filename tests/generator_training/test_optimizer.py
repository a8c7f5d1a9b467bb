import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from paths import ROOT
from safetensors.torch import load_file
from torch import nn

from diffaug.generator_training import optimizer as module
from diffaug.generator_training.fit import fit
from diffaug.generator_training.optimizer import make_optimizer, refuse_optimizer
from diffaug.params.train_gen import LoraParams
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")


def lora(**changes: Any) -> LoraParams:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train_gen"]["lora"]
    return LoraParams.model_validate(raw | changes)


class Matrices(nn.Module):
    """A large matrix, whose state takes 8 bits, and a small one, whose state does not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.large, self.small = nn.Parameter(torch.randn(64, 128)), nn.Parameter(torch.randn(4, 128))


def trained(checkpoint: Path, steps: int, kind: str, dies_at: int | None = None) -> list[torch.Tensor]:
    """The matrices after steps toward ones, each with its own noise."""
    matrices, calls = Matrices(), []

    def loss(generator: torch.Generator) -> torch.Tensor:
        calls.append(1)
        if dies_at is not None and len(calls) > dies_at:
            raise KeyboardInterrupt
        noise = torch.randn(64, 128, generator=generator)
        return (matrices.large - 1 + 0.1 * noise).square().mean() + (matrices.small - 1).square().mean()

    optimizer = make_optimizer(matrices.parameters(), lora(optimizer=kind, learning_rate=0.05))
    fit(
        matrices,
        loss,
        optimizer,
        **{"name": "lora", "steps": steps, "learning_rate": 0.05, "ema_decay": 0.0, "seed": 0},
        checkpoint=checkpoint,
        checkpoint_every=4,
    )
    return [one.detach() for one in matrices.parameters()]


def test_eight_bits_learn_nearly_what_thirty_two_learn(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")  # optional, as torchao
    start = list(Matrices().parameters())
    wide, narrow = (trained(tmp_path / kind, 60, kind) for kind in ("adamw", "adamw8bit"))
    for before, one, other in zip(start, wide, narrow):
        moved = (one - before).abs().mean()
        assert (other - one).abs().mean() < 0.05 * moved
    assert not torch.equal(wide[0], narrow[0])
    assert torch.allclose(wide[1], narrow[1], atol=1e-4)


def test_a_killed_training_goes_on_with_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    whole = trained(tmp_path / "whole", 12, "adamw8bit")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "part", 12, "adamw8bit", dies_at=6)
    saved = load_file(tmp_path / "part")
    assert saved["optimizer.0.state1"].dtype is torch.uint8 and saved["optimizer.0.state1"].shape == (64, 128)
    assert saved["optimizer.0.absmax2"].shape == (64 * 128 // 256,)
    assert saved["optimizer.1.state1"].dtype is torch.float32
    assert saved["optimizer.0.step"].item() == 4
    again = trained(tmp_path / "part", 12, "adamw8bit")
    assert all(torch.equal(one, other) for one, other in zip(whole, again))


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module._adamw8bit.cache_clear()
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(UserError, match=r"lora\.optimizer: bitsandbytes is not installed; run `\.venv/bin/pip install"):
        refuse_optimizer(lora(optimizer="adamw8bit"), CPU)
    refuse_optimizer(lora(optimizer="adamw"), CPU)


def test_apples_gpu_has_none() -> None:
    pytest.importorskip("bitsandbytes")
    with pytest.raises(UserError, match="bitsandbytes has no adamw8bit for Apple's GPU; set adamw"):
        refuse_optimizer(lora(optimizer="adamw8bit"), torch.device("mps"))
