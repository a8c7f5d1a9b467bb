"""In which order a training set's images are seen, and how often each."""

from collections.abc import Iterator, Sequence

import torch


def endless(count: int, seed: int, weights: Sequence[float] | None = None) -> Iterator[int]:
    """Indices below `count` without end: every one once in each round, in an order of that round's own; with weights
    as often as these say, drawn independently."""
    generator = torch.Generator().manual_seed(seed)
    chances = torch.tensor(weights, dtype=torch.float64) if weights is not None else None
    while True:
        if chances is None:
            yield from torch.randperm(count, generator=generator).tolist()
        else:
            yield from torch.multinomial(chances, count, replacement=True, generator=generator).tolist()
