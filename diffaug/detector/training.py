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
from tqdm import tqdm
from ultralytics.data.build import InfiniteDataLoader, seed_worker
from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel
from ultralytics.utils import LOGGER, SETTINGS

from diffaug.detector.network import build
from diffaug.runtime.errors import UserError
from diffaug.params.train_det import TrainDetParams

# In addition to mosaic, scale, shift and colour, which both arms use.
_CLASSIC = {"degrees": 10.0, "shear": 2.0, "mixup": 0.3, "cutmix": 0.3}
_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "neptune", "raytune", "tensorboard", "wandb", "sync")


@dataclass(frozen=True)
class TrainedDetector:
    """The best averaged weights by val mAP50-95, and one row per evaluation: step, losses, val metrics."""

    model: DetectionModel
    history: list[dict[str, float]]


class _Passes(Sampler[int]):
    """`samples` of the endless indices per pass, so that an "epoch" of Ultralytics is a fixed number of steps, the same
    for both arms, however many images each has."""

    def __init__(self, indices: Iterator[int], samples: int) -> None:
        self._samples = samples
        self._indices = indices

    def __len__(self) -> int:
        return self._samples

    def __iter__(self) -> Iterator[int]:
        return itertools.islice(self._indices, self._samples)


class _StepTrainer(DetectionTrainer):
    """Ultralytics' trainer with a step budget; it keeps the best weights in memory and writes no checkpoint."""

    steps_per_epoch = 1
    indices: Iterator[int]
    images: int
    best_state: dict[str, torch.Tensor]
    best_value = -1.0
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
        generator = torch.Generator().manual_seed(self.args.seed)
        return InfiniteDataLoader(
            dataset=dataset,
            batch_size=batch_size,
            sampler=_Passes(self.indices, self.steps_per_epoch * batch_size),
            num_workers=self.args.workers,
            collate_fn=dataset.collate_fn,
            worker_init_fn=seed_worker,
            generator=generator,
        )

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
        self.history.append(row)
        if row["val_mAP50_95"] > self.best_value:
            self.best_value = row["val_mAP50_95"]
            self.best_state = {key: value.float().clone() for key, value in self.ema.ema.state_dict().items()}


class _RtdetrStepTrainer(_StepTrainer, RTDETRTrainer):
    """The same for RT-DETR, whose data and validation differ."""


def train_detector(
    data_yaml: Path,
    names: tuple[str, ...],
    params: TrainDetParams,
    seed: int,
    work: Path,
    device: torch.device,
    label: str,
    indices: Iterator[int],
    classic: bool = False,
) -> TrainedDetector:
    """Train for exactly `params.steps` steps on `data_yaml` (in its own YOLO folder: caches are written next to it).

    indices: the train images, sorted by name, in the order in which they are used. classic: with rotation, shear, MixUp
    and CutMix in addition to Ultralytics' default augmentation.
    Raises UserError if the model or the weights are unknown, or the loss is not a number.
    """
    LOGGER.setLevel(logging.ERROR)
    SETTINGS.update({key: False for key in _INTEGRATIONS if key in SETTINGS})
    epochs = params.steps // params.eval_every
    threads = torch.get_num_threads()  # Ultralytics lowers it
    torch.manual_seed(seed)
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
            **(_CLASSIC if classic else {}),
            "patience": 0,
            "seed": seed,
            "deterministic": True,
            "workers": params.workers,
            "device": device.type,
            "amp": "bf16" if device.type == "cuda" else False,
            "plots": False,
            "save": False,
            "verbose": False,
            "project": str(work.resolve()),
            "name": "run",
            "exist_ok": True,
        }
    )
    trainer.steps_per_epoch = params.eval_every
    trainer.indices = indices
    trainer.images = sum(1 for _ in (data_yaml.parent / "images/train").iterdir())
    trainer.history = []
    trainer.model = model
    with tqdm(total=params.steps, desc=label, unit="step", mininterval=1.0) as bar:
        trainer.add_callback("on_train_start", lambda _: torch.set_num_threads(threads))
        trainer.add_callback("on_train_batch_end", lambda _: bar.update())
        trainer.train()
    if trainer.batch_size != params.batch_size:
        raise UserError(f"{label}: batches of {params.batch_size} do not fit in the memory; lower train_det.batch_size")
    model.cpu().float().load_state_dict(trainer.best_state)
    return TrainedDetector(model.eval(), trainer.history)
