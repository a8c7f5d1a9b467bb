"""The order in which the images of a training set are used, and how often each is used."""

import itertools
from collections.abc import Iterator, Sequence

import torch


def endless(count: int, seed: int, weights: Sequence[float] | None = None, start: int = 0) -> Iterator[int]:
    """Indices below `count` without end, from the place `start` on: each once per round, in a new order each round; or,
    with weights, drawn independently with probabilities proportional to them."""
    return itertools.islice(_rounds(count, seed, weights), start, None)


def _rounds(count: int, seed: int, weights: Sequence[float] | None) -> Iterator[int]:
    generator = torch.Generator().manual_seed(seed)
    chances = torch.tensor(weights, dtype=torch.float64) if weights is not None else None
    while True:
        if chances is None:
            yield from torch.randperm(count, generator=generator).tolist()
        else:
            yield from torch.multinomial(chances, count, replacement=True, generator=generator).tolist()
