"""One training while it runs: the order of its images, its random numbers, its folder, what it says about itself."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diffaug.runtime.checkpoint import save_checkpoint
from diffaug.training.history import write_history


@dataclass(frozen=True)
class Run:
    """What a training needs besides its data and its parameters.

    label: its name in messages. seed: of the weights and of everything random. order: the indices of the train images
    from a place on, without end, the first being place 0. folder: for its checkpoint and its curve. report: is given
    the number of finished steps.
    """

    label: str
    seed: int
    order: Callable[[int], Iterator[int]]
    folder: Path
    report: Callable[[int], object] = lambda step: None
    _pace: "_Pace" = field(default_factory=lambda: _Pace(), repr=False)

    @property
    def checkpoint(self) -> Path:
        """The file from which a killed run goes on."""
        return self.folder / "checkpoint.safetensors"

    def save(
        self,
        networks: Mapping[str, nn.Module],
        optimizer: torch.optim.Optimizer,
        facts: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
    ) -> None:
        """Write the checkpoint, unless more than a twentieth of the time would go into writing."""
        start = time.monotonic()
        if start >= self._pace.next:
            save_checkpoint(self.checkpoint, networks, optimizer, facts, tensors)
            self._pace.next = time.monotonic() + 19 * (time.monotonic() - start)

    def write_curve(self, rows: Sequence[dict[str, float]]) -> None:
        """Write `history.csv` as far as the training has come."""
        write_history(self.folder, rows)

    def reseed(self, part: int) -> None:
        """Seed all global random numbers from the seed and the part of the training (a step or an epoch) alone, so that
        a part is the same whatever ran before it in this process."""
        number = self.seed * 1_000_003 + part
        random.seed(number)
        np.random.seed(number % 2**32)
        torch.manual_seed(number)


@dataclass
class _Pace:
    """When the next checkpoint may be written, in seconds of the monotonic clock."""

    next: float = 0.0
