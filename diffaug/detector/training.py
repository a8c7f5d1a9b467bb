"""Training an Ultralytics detector under a step budget; the best checkpoint by real val is kept."""

# ruff: noqa: I001 - Ultralytics reads its environment when it is imported, so its home comes first.
import diffaug.detector.ultralytics_home  # noqa: F401

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from ultralytics.data.build import InfiniteDataLoader, seed_worker
from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel
from ultralytics.utils import LOGGER, SETTINGS
from ultralytics.utils.torch_utils import unwrap_model

from diffaug.detector.network import build
from diffaug.params.train_det import TrainDetParams
from diffaug.runtime.checkpoint import load_checkpoint
from diffaug.runtime.errors import UserError
from diffaug.training.run import Run

# In addition to mosaic, scale, shift and colour, which both arms use.
_CLASSIC = {"degrees": 10.0, "shear": 2.0, "mixup": 0.3, "cutmix": 0.3}
_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "neptune", "raytune", "tensorboard", "wandb", "sync")


@dataclass(frozen=True)
class TrainedDetector:
    """The best averaged weights by val mAP50-95, and one row per evaluation: step, losses, val metrics."""

    model: DetectionModel
    history: list[dict[str, float]]


class _Passes(Sampler[int]):
    """The images of one epoch: `samples` indices of the order, from the epoch's own place on, so that an "epoch" of
    Ultralytics is a fixed number of steps, the same for both arms, however many images each has."""

    def __init__(self, run: Run, samples: int) -> None:
        self._run = run
        self._samples = samples
        self.epoch = 0

    def __len__(self) -> int:
        return self._samples

    def __iter__(self) -> Iterator[int]:
        return itertools.islice(self._run.order(self.epoch * self._samples), self._samples)

    def before(self, count: int) -> list[int]:
        """The last `count` different images before this epoch, in the order of their last use."""
        end = self.epoch * self._samples
        start = max(0, end - 2 * count)
        seen = list(itertools.islice(self._run.order(start), end - start))
        return list(dict.fromkeys(reversed(seen)))[:count][::-1]


class _StepTrainer(DetectionTrainer):
    """Ultralytics' trainer with a step budget. It keeps the best weights in memory, and its own checkpoint, from which
    a killed run goes on with the same bytes: an epoch depends on the weights at its start and its number alone."""

    run: Run
    steps_per_epoch = 1
    steps_done = 0
    wanted_batch_size: int
    images: int
    best_state: dict[str, torch.Tensor]
    history: list[dict[str, float]]

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        if mode != "train":
            return super().get_dataloader(dataset_path, batch_size, rank, mode)
        dataset = self.build_dataset(dataset_path, mode, batch_size)
        if len(dataset) != self.images:
            raise UserError(
                f"train_det: Ultralytics uses {len(dataset)} of {self.images} images (it needs 10 pixels per side); "
                "remove the others from the data"
            )
        self.passes = _Passes(self.run, self.steps_per_epoch * batch_size)
        return InfiniteDataLoader(
            dataset=dataset,
            batch_size=batch_size,
            sampler=self.passes,
            num_workers=self.args.workers,
            collate_fn=dataset.collate_fn,
            worker_init_fn=seed_worker,
            generator=torch.Generator(),
        )

    def build_optimizer(self, *arguments: Any, **named: Any) -> torch.optim.Optimizer:
        """Ultralytics' own, with the fused kernel also on a CPU, where its AdamW costs a tenth of a step."""
        optimizer = super().build_optimizer(*arguments, **named)
        for group in optimizer.param_groups:
            group["fused"] = True
        return optimizer

    def resume_from_checkpoint(self) -> None:
        """Put everything into the state after the last finished epoch."""
        if not self.run.checkpoint.exists():
            return
        facts, self.best_state = load_checkpoint(self.run.checkpoint, self._networks(), self.optimizer)
        self.history, self.ema.updates = facts["history"], facts["updates"]
        self.start_epoch = len(self.history)
        self.steps_done = self.start_epoch * self.steps_per_epoch
        self.scheduler.last_epoch = self.start_epoch - 1
        model = unwrap_model(self.model)
        model.criterion = model.init_criterion()
        for _ in self.history if hasattr(model.criterion, "update") else ():
            model.criterion.update()

    def begin_epoch(self) -> None:
        """Reseed, and fill the buffer from which mosaics take their other images with those used last.

        Raises UserError if Ultralytics goes on with smaller batches, which it does where the memory is too small: the
        arms would be trained differently.
        """
        if self.batch_size != self.wanted_batch_size:
            raise UserError(
                f"{self.run.label}: batches of {self.wanted_batch_size} do not fit in the memory; lower "
                "train_det.batch_size, or jobs"
            )
        self.run.reseed(self.epoch)
        loader, dataset = self.train_loader, self.train_loader.dataset
        loader.generator.manual_seed(self.run.seed * 1_000_003 + self.epoch)
        self.passes.epoch = self.epoch
        for index in dataset.buffer:
            dataset.ims[index], dataset.im_hw0[index], dataset.im_hw[index] = None, None, None
        dataset.buffer.clear()
        for index in self.passes.before(dataset.max_buffer_length):
            dataset.load_image(index)
        loader.reset()  # its workers are copies of the data set

    def end_step(self) -> None:
        """Tell the run how many steps are finished."""
        self.steps_done += 1
        self.run.report(self.steps_done)

    def save_model(self) -> bool:
        return False

    def final_eval(self) -> None:
        return None

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if not torch.isfinite(self.loss):
            raise UserError(
                f"train_det: the loss became {self.loss.item()} before step {(epoch + 1) * self.steps_per_epoch}; "
                f"lower train_det.learning_rate (now {self.args.lr0:g}) and run again"
            )
        return False

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        names = {"metrics/mAP50(B)": "val_mAP50", "metrics/mAP50-95(B)": "val_mAP50_95"}
        row: dict[str, float] = {"step": (self.epoch + 1) * self.steps_per_epoch}
        row |= {key.replace("/", "_"): float(value) for key, value in metrics.items() if key.startswith("train/")}
        row |= {names[key]: float(value) for key, value in metrics.items() if key in names}
        if all(row["val_mAP50_95"] > other["val_mAP50_95"] for other in self.history):
            self.best_state = {key: value.float().clone() for key, value in self.ema.ema.state_dict().items()}
        self.history.append(row)
        self.run.write_curve(self.history)
        if self.epoch + 1 < self.epochs:  # after the last epoch Ultralytics cannot start at all
            facts = {"history": self.history, "updates": self.ema.updates}
            self.run.save(self._networks(), self.optimizer, facts, self.best_state)

    def _networks(self) -> dict[str, torch.nn.Module]:
        return {"network": unwrap_model(self.model), "averaged": self.ema.ema}


class _RtdetrStepTrainer(_StepTrainer, RTDETRTrainer):
    """The same for RT-DETR, whose data and validation differ."""


def train_detector(
    data_yaml: Path,
    names: tuple[str, ...],
    params: TrainDetParams,
    run: Run,
    device: torch.device,
    strong: bool = False,
) -> TrainedDetector:
    """Train for exactly `params.steps` steps on `data_yaml` (in its own YOLO folder: caches are written next to it).

    The run's order counts the train images sorted by name. A killed run goes on from its last evaluation, with the same
    bytes. strong: with rotation, shear, MixUp and CutMix in addition to Ultralytics' default augmentation.
    Raises UserError if the model or the weights are unknown, or the loss is not a number.
    """
    LOGGER.setLevel(logging.ERROR)
    SETTINGS.update({key: False for key in _INTEGRATIONS if key in SETTINGS})
    epochs = params.steps // params.eval_every
    threads = torch.get_num_threads()  # Ultralytics lowers it
    torch.manual_seed(run.seed)
    model = build(params, names)
    kind = _RtdetrStepTrainer if isinstance(model, RTDETRDetectionModel) else _StepTrainer
    trainer = kind(
        overrides={
            "model": params.model,
            "data": str(data_yaml),
            "pretrained": False,
            "imgsz": params.image_size,
            "epochs": epochs,
            "batch": params.batch_size,
            "nbs": params.batch_size,
            "optimizer": "AdamW",
            "lr0": params.learning_rate,
            "cos_lr": True,
            "warmup_epochs": 0.1 * epochs,
            "warmup_bias_lr": 0.0,
            "fliplr": params.flip,
            "mosaic": params.mosaic,
            "close_mosaic": max(1, epochs // 5),
            **(_CLASSIC if strong else {}),
            "patience": 0,
            "seed": run.seed,
            "deterministic": True,
            "workers": params.workers,
            "device": device.type,
            "amp": "bf16" if device.type == "cuda" else False,
            "plots": False,
            "save": False,
            "verbose": False,
            "project": str(run.folder.resolve()),
            "name": "ultralytics-run",
            "exist_ok": True,
        }
    )
    trainer.run = run
    trainer.steps_per_epoch = params.eval_every
    trainer.wanted_batch_size = params.batch_size
    trainer.images = sum(1 for _ in (data_yaml.parent / "images/train").iterdir())
    trainer.history = []
    trainer.model = model
    trainer.add_callback("on_train_start", lambda _: torch.set_num_threads(threads))
    trainer.add_callback("on_train_start", lambda one: one.resume_from_checkpoint())
    trainer.add_callback("on_train_epoch_start", lambda one: one.begin_epoch())
    trainer.add_callback("on_train_batch_end", lambda one: one.end_step())
    trainer.train()
    model.cpu().float().load_state_dict(trainer.best_state)
    return TrainedDetector(model.eval(), trainer.history)
