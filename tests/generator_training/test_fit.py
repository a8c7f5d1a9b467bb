import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from diffaug.generator_training.fit import fit, schedule
from diffaug.generator_training.muon import Muon
from diffaug.runtime.errors import UserError

pytestmark = pytest.mark.slow


class Stopped(Exception):
    """Simulates a kill."""


def adamw(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), lr=0.01, fused=True)


def muon(network: nn.Module) -> torch.optim.Optimizer:
    return Muon(network, 0.01)


def train(
    folder: Path,
    make: Callable[[nn.Module], torch.optim.Optimizer],
    stop_at: int | None = None,
    nan_at: int | None = None,
    steep_at: int | None = None,
) -> tuple[nn.Module, list[float]]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 1))
    seen = []

    def loss(generator: torch.Generator) -> Tensor:
        seen.append(generator.initial_seed())
        if generator.initial_seed() == stop_at:
            raise Stopped
        batch = torch.randn((16, 4), generator=generator)
        value = (network(batch) - batch.sum(dim=1, keepdim=True)).square().mean()
        if generator.initial_seed() == steep_at:  # the slope of a root at 0 is infinite
            return value + (network[0].weight * 0).sqrt().sum()
        return value * math.nan if generator.initial_seed() == nan_at else value

    losses = fit(
        network,
        loss,
        make(network),
        name="scratch.vae",
        steps=20,
        learning_rate=0.01,
        ema_decay=0.9,
        seed=0,
        checkpoint=folder / "vae.safetensors",
        checkpoint_every=4,
    )
    return network, losses


@pytest.mark.parametrize("make", [adamw, muon])
def test_a_killed_training_ends_with_the_same_weights(
    tmp_path: Path, make: Callable[[nn.Module], torch.optim.Optimizer]
) -> None:
    whole, losses = train(tmp_path / "whole", make)
    with pytest.raises(Stopped):
        train(tmp_path / "killed", make, stop_at=14)
    network, continued = train(tmp_path / "killed", make)
    assert continued == losses
    for key, value in whole.state_dict().items():
        assert torch.equal(network.state_dict()[key], value)
    assert losses[-1] < losses[0]


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    train(tmp_path, muon)
    with_stop, _ = train(tmp_path, muon, stop_at=0)
    assert not with_stop.training


def test_nan_stops_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"loss of the scratch.vae became nan at step 5; lower train_gen\.scratch\.vae\.learning_rate"
    ):
        train(tmp_path, muon, nan_at=5)


def test_a_finite_loss_with_an_infinite_gradient_stops_with_one_line(tmp_path: Path) -> None:
    """All weights would be NaN after this step, and only the next stage would notice."""
    with pytest.raises(UserError, match=r"gradient of the scratch.vae became nan at step 19; lower train_gen\.scratch"):
        train(tmp_path, muon, steep_at=19)


def test_schedule_warms_up_and_comes_down() -> None:
    values = [schedule(step, 100) for step in range(100)]
    assert values[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert values[5] == pytest.approx(1.0)
    assert values[5:] == sorted(values[5:], reverse=True)
    assert 0.02 <= values[-1] < 0.03
