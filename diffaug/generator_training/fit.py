"""One training loop for the generator's networks: seeded for every step, averaged, resumable after an interruption."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from diffaug.runtime.checkpoint import load_checkpoint, save_checkpoint
from diffaug.runtime.errors import UserError

Loss = Callable[[torch.Generator], Tensor]


def fit(
    network: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    *,
    name: str,
    steps: int,
    learning_rate: float,
    ema_decay: float,
    seed: int,
    checkpoint: Path,
    checkpoint_every: int,
    accumulate: int = 1,
    after: Callable[[int, nn.Module], None] = lambda step, network: None,
) -> list[float]:
    """Minimise `loss` over the network's parameters with `optimizer`, leave the averaged weights in it and return the
    loss of each step.

    `loss` draws its batch and its noise from the given CPU generator, which is seeded only from `seed` and the step: a
    run that continues from `checkpoint` gives the same bytes as an uninterrupted one. A step adds up the gradients of
    `accumulate` such batches.

    after: is called with 0 and after each step with its number, and the averaged network; before a checkpoint, so that
    a run that continues misses none.
    Raises UserError if the loss or the gradient is not a finite number.
    """
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(ema_decay))
    networks = {"network": network, "averaged": averaged}
    losses: list[float] = load_checkpoint(checkpoint, networks, optimizer)[0]["losses"] if checkpoint.exists() else []
    generator = torch.Generator()
    network.train()
    if not losses:
        after(0, averaged.module)
    with tqdm(total=steps, initial=len(losses), desc=f"train_gen: {name}", unit="step", mininterval=1.0) as bar:
        for step in range(len(losses), steps):
            generator.manual_seed(seed * 1_000_003 + step)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * schedule(step, steps)
            value = torch.zeros(())
            for _ in range(accumulate):
                part = loss(generator) / accumulate
                part.backward()
                value = value + part.detach().cpu()
            norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            for what, number in (("loss", value), ("gradient", norm)):
                if not torch.isfinite(number):
                    raise UserError(
                        f"train_gen: the {what} of the {name} became {number.item()} at step {step}; lower "
                        f"train_gen.{name}.learning_rate (now {learning_rate:g}) and run again"
                    )
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            averaged.update_parameters(network)
            losses.append(value.item())
            bar.update()
            after(step + 1, averaged.module)
            if (step + 1) % checkpoint_every == 0 or step + 1 == steps:
                save_checkpoint(checkpoint, networks, optimizer, {"losses": losses})
                bar.set_postfix(loss=f"{sum(losses[-50:]) / len(losses[-50:]):.4f}", refresh=False)
    network.load_state_dict(averaged.module.state_dict())
    network.eval()
    return losses


def schedule(step: int, steps: int) -> float:
    """The learning rate's factor in (0, 1]: linear warm-up over the first 5 % of the steps, then a cosine to 2 %."""
    warmup = max(1, steps // 20)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
