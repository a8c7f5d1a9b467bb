import pytest
import torch
from torch import nn

from diffaug.generator_training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(2, 8, 30), (2, 30, 8), (1, 8, 8)])
def test_singular_values_come_near_one(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = orthogonal(matrices)
    values = torch.linalg.svdvals(made)
    assert made.shape == shape
    assert values.min() > 0.6 and values.max() < 1.3
    # The directions stay: the product with the input has no negative direction.
    assert (torch.linalg.eigvalsh(made @ matrices.mT + matrices @ made.mT) > -1e-3).all()


def test_a_step_of_a_matrix_has_the_same_size_for_every_gradient() -> None:
    sizes = []
    for scale in (1e-4, 1.0, 1e4):
        torch.manual_seed(0)
        layer = nn.Conv2d(3, 8, 3, bias=False)
        before = layer.weight.detach().clone()
        layer.weight.grad = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(1)) * scale
        Muon(layer, 0.01).step()
        sizes.append((layer.weight.detach() - before).norm().item())
    assert sizes == pytest.approx([sizes[0]] * 3, rel=0.01)


def test_tables_of_embeddings_and_biases_are_no_matrices() -> None:
    """A row of a table that no caption names has no gradient, and stays."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 1))
    before = network[0].weight.detach().clone()
    network(torch.tensor([1, 2])).sum().backward()
    Muon(network, 0.1).step()
    moved = (network[0].weight - before).abs().amax(dim=1)
    assert (moved[[1, 2]] > 0.02).all()
    assert (moved[[0, 3, 4]] < 0.001).all()  # weight decay alone


def test_it_learns_and_leaves_frozen_weights_alone() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, 1))
    network[2].bias.requires_grad_(False)
    frozen = network[2].bias.detach().clone()
    optimizer, losses = Muon(network, 0.02), []
    inputs = torch.randn((64, 4), generator=torch.Generator().manual_seed(1))
    for _ in range(100):
        loss = (network(inputs) - inputs.abs().sum(dim=1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert torch.equal(network[2].bias, frozen)
