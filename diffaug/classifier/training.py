"""Training a torchvision ResNet under a step budget; the best checkpoint by real val is kept."""

import itertools
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from diffaug.classifier.network import build
from diffaug.classifier.predicting import Tensors, normalize, predict_logits
from diffaug.params.train_cls import TrainClsParams
from diffaug.runtime.checkpoint import load_checkpoint
from diffaug.runtime.errors import UserError
from diffaug.training.run import Run


@dataclass(frozen=True)
class TrainedClassifier:
    """The best model by val, and one row per evaluation: step, train_loss, val_loss, val_accuracy."""

    model: nn.Module
    history: list[dict[str, float]]


def train_classifier(
    train: Tensors, val: Tensors, classes: int, params: TrainClsParams, run: Run, strong: bool = False
) -> TrainedClassifier:
    """Train for exactly `params.steps` steps and keep the weights with the best val accuracy (then the lower loss).

    A killed run goes on from its last evaluation, with the same bytes. strong: with RandAugment (Cubuk et al. 2019,
    arXiv:1909.13719) and, in every batch, MixUp (Zhang et al. 2017, arXiv:1710.09412) or CutMix (Yun et al. 2019,
    arXiv:1905.04899). Raises UserError if the loss is not a finite number.
    """
    torch.manual_seed(run.seed)
    device = train.images.device
    model = build(params, classes).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay, fused=True
    )
    scheduler = _scheduler(optimizer, params)
    augment = _augment(params, strong)
    mix = v2.RandomChoice([v2.MixUp(num_classes=classes), v2.CutMix(num_classes=classes)]) if strong else None
    # bfloat16 needs no loss scaling, which would skip steps, and different ones in the two arms.
    mixed = device.type == "cuda" and torch.cuda.is_bf16_supported()
    history, best = _resume(run, model, optimizer, scheduler)
    losses: list[Tensor] = []
    done = int(history[-1]["step"]) if history else 0
    indices = run.order(done * params.batch_size)
    for step in range(done + 1, params.steps + 1):
        run.reseed(step)
        model.train()
        index = torch.tensor(list(itertools.islice(indices, params.batch_size)), device=device)
        pixels, labels = torch.stack([augment(image) for image in train.images[index]]), train.labels[index]
        if mix is not None:
            pixels, labels = mix(pixels.float(), labels)
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            loss = F.cross_entropy(model(normalize(pixels)), labels)
        if not torch.isfinite(loss):
            raise UserError(f"{run.label}: the loss became {loss.item()} at step {step}; lower train_cls.learning_rate")
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        scheduler.step()
        losses.append(loss.detach())
        run.report(step)
        if step % params.eval_every == 0 or step == params.steps:
            row = {"step": step, "train_loss": torch.stack(losses).mean().item(), **_on_val(model, val)}
            losses.clear()
            if all(_rank(row) > _rank(other) for other in history):
                best = {key: value.detach().clone() for key, value in model.state_dict().items()}
            history.append(row)
            run.write_curve(history)
            run.save({"network": model}, optimizer, {"history": history}, best)
    model.load_state_dict(best)
    return TrainedClassifier(model.eval(), history)


def _resume(
    run: Run, model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: torch.optim.lr_scheduler.LRScheduler
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """The curve so far and the best weights, with all parts in the state of the checkpoint, if there is one."""
    if not run.checkpoint.exists():
        return [], {}
    facts, best = load_checkpoint(run.checkpoint, {"network": model}, optimizer)
    with warnings.catch_warnings(action="ignore"):  # that no step of the optimiser came between
        for _ in range(int(facts["history"][-1]["step"])):
            scheduler.step()
    return facts["history"], best


def _on_val(model: nn.Module, val: Tensors) -> dict[str, float]:
    logits = predict_logits(model, val.images)
    accuracy = (logits.argmax(1) == val.labels).float().mean().item()
    return {"val_loss": F.cross_entropy(logits, val.labels).item(), "val_accuracy": accuracy}


def _rank(row: dict[str, float]) -> tuple[float, float]:
    return row["val_accuracy"], -row["val_loss"]


def _scheduler(optimizer: torch.optim.Optimizer, params: TrainClsParams) -> torch.optim.lr_scheduler.LRScheduler:
    if params.schedule == "one_cycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, params.learning_rate, total_steps=params.steps + 1)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, params.steps)


def _augment(params: TrainClsParams, strong: bool) -> v2.Transform:
    shift = round(params.shift * params.image_size)
    steps: list[v2.Transform] = [v2.RandomHorizontalFlip(params.flip)]
    if shift:
        steps.append(v2.RandomCrop(params.image_size, padding=shift, padding_mode="edge"))
    return v2.Compose([*steps, v2.RandAugment()] if strong else steps)
