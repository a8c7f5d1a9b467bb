"""Muon: momentum whose matrices are made orthogonal before each step."""

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_DECAY = 0.01
# Odd polynomial whose repeated use drives all singular values towards 1 (Jordan et al. 2024).
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
# Vectors (biases, norms) and tables of embeddings keep AdamW, at this share of the learning rate.
_VECTORS_RATE = 0.3


class Muon(torch.optim.Optimizer):
    """Muon for the weights of linear and convolutional layers, AdamW for all others.

    A step of a matrix has the same size in every direction, whatever the size of its gradient, so `lr` is the same
    for every layer; a convolution is a matrix of its output channels. The update is scaled by 0.2 sqrt(longer side), as
    in Liu et al. 2025 (arXiv:2502.16982), so that its size is that of an AdamW step. torch.optim.Muon takes no
    convolutions.
    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/
    """

    def __init__(self, network: nn.Module, lr: float) -> None:
        tables = {id(one.weight) for one in network.modules() if isinstance(one, nn.Embedding)}
        parameters = [one for one in network.parameters() if one.requires_grad]
        matrices = [one for one in parameters if one.ndim >= 2 and id(one) not in tables]
        vectors = [one for one in parameters if one.ndim < 2 or id(one) in tables]
        groups = [{"params": matrices, "matrices": True}, {"params": vectors, "matrices": False}]
        super().__init__([group for group in groups if group["params"]], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change the parameters by their gradients; those without one stay as they are."""
        for group in self.param_groups:
            parameters = [one for one in group["params"] if one.grad is not None]
            gradients, states = [one.grad for one in parameters], [self.state[one] for one in parameters]
            updates = _muon(gradients, states) if group["matrices"] else list(map(_adam, gradients, states))
            rate = group["lr"] * (1.0 if group["matrices"] else _VECTORS_RATE)
            for parameter, update in zip(parameters, updates):
                parameter.mul_(1 - rate * _DECAY).add_(update, alpha=-rate)


def orthogonal(matrices: Tensor) -> Tensor:
    """(N, R, C) with all but the smallest singular values near 1 (0.7 to 1.2), by Newton-Schulz iterations.

    An iteration multiplies by a polynomial of the small matrix X X', so these are multiplied first, and X once.
    """
    a, b, c = _NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if tall else matrices
    wide = wide / (wide.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    square = wide @ wide.mT
    factor = torch.eye(wide.shape[1]).to(wide).expand_as(square)
    for _ in range(_ITERATIONS):
        polynomial = torch.baddbmm(square, square, square, beta=b, alpha=c)
        polynomial.diagonal(dim1=1, dim2=2).add_(a)
        factor = polynomial @ factor
        square = polynomial @ square @ polynomial
    wide = factor @ wide
    return wide.mT if tall else wide


def _muon(gradients: list[Tensor], states: list[dict[str, Tensor]]) -> list[Tensor]:
    """The updates. Matrices of one shape are made orthogonal together: fewer and larger multiplications."""
    shapes: dict[torch.Size, list[int]] = {}
    for number, gradient in enumerate(gradients):
        shapes.setdefault(gradient.flatten(1).shape, []).append(number)
    updates = list(gradients)
    for shape, numbers in shapes.items():
        momenta = []
        for number in numbers:
            momentum = states[number].setdefault("momentum", torch.zeros_like(gradients[number]))
            momentum.lerp_(gradients[number], 1 - _MOMENTUM)
            momenta.append(gradients[number].lerp(momentum, _MOMENTUM).flatten(1))  # Nesterov's
        for number, update in zip(numbers, orthogonal(torch.stack(momenta)).mul_(0.2 * max(shape) ** 0.5)):
            updates[number] = update.view(gradients[number].shape)
    return updates


def _adam(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    count = state.setdefault("step", torch.zeros((), dtype=torch.float32)).add_(1)
    mean = state.setdefault("mean", torch.zeros_like(gradient)).lerp_(gradient, 0.1)
    square = state.setdefault("square", torch.zeros_like(gradient)).lerp_(gradient.square(), 0.05)
    steps = float(count)
    return mean / (1 - 0.9**steps) / ((square / (1 - 0.95**steps)).sqrt() + 1e-8)
