"""The work cache of trained models: each lies under a key of everything that it depends on."""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from diffaug.params import Params
from diffaug.runtime import code, cores
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path, file_sha256, replace_folder
from diffaug.runtime.seals import is_sealed
from diffaug.runtime.work import work_folder
from diffaug.training.history import CURVES, HISTORY

_LIBRARIES = ("torch", "torchvision", "ultralytics-opencv-headless", "numpy", "opencv-python-headless", "pillow")
_SPEED, _LOCK = "speed.json", "lock"
_KEPT = 4  # of the models of one arm and seed, for an edit that is taken back, and for experiments side by side


@dataclass(frozen=True)
class Training:
    """One model to train: of the task cls or det, for the arm real or merged, with this seed."""

    task: str
    arm: str
    seed: int

    @classmethod
    def of(cls, task: str, arguments: list[str]) -> "Training":
        """The training that the command line of a stage script names. Ends the process if it names none."""
        if len(arguments) != 3 or arguments[1] not in ("real", "merged") or not arguments[2].isdigit():
            sys.exit(f"usage: python stages/train_{task}.py real|merged SEED")
        return cls(task, arguments[1], int(arguments[2]))

    @property
    def name(self) -> str:
        """Its name in folders and in metrics/speed."""
        return f"train_{self.task}-{self.arm}-{self.seed}"

    @property
    def stage(self) -> str:
        """Its name in dvc.yaml."""
        return f"train_{self.task}@real-{self.seed}" if self.arm == "real" else f"train_{self.task}_merged@{self.seed}"

    @property
    def target(self) -> Path:
        """The folder of the model, an output of its stage."""
        return Path("models") / self.task / f"{self.arm}-{self.seed}"

    @property
    def curve(self) -> Path:
        """The training curve, an output of its stage."""
        return CURVES / self.task / f"{self.arm}-{self.seed}.csv"

    def data(self, split: str) -> Path:
        """The image set of its train or val split; each seed of the merged arm has its own."""
        arm = Path("data") / self.arm
        return (arm if self.arm == "real" else arm / str(self.seed)) / self.task / split


@dataclass(frozen=True)
class Finished:
    """The folder of a training in the work cache, with its curve. Once it has ended, `model` exists, whole, and
    `speed.json` holds its seconds and its memory. Before that the folder holds the checkpoint."""

    folder: Path

    @classmethod
    def of(cls, training: Training, params: Params) -> "Finished":
        """The folder for this training with these parameters, present data and code. Raises UserError without data."""
        return cls(work_folder("trained") / training.name / _key(training, params))

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def exists(self) -> bool:
        return is_sealed(self.model)

    def lock(self) -> FileLock:
        """Held by the process that trains, or removes, the model."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / _LOCK)

    def show_curve(self, target: Path) -> None:
        """Copy the curve, as far as it has come, to its place."""
        curve = self.folder / HISTORY
        if curve.exists() and not (target.exists() and target.stat().st_mtime_ns > curve.stat().st_mtime_ns):
            with atomic_path(target) as temporary:
                shutil.copyfile(curve, temporary)

    def take(self, training: Training) -> dict[str, float]:
        """Copy the model and its curve to their places; the seconds, MiB and steps that its training took."""
        replace_folder(training.target, lambda place: shutil.copytree(self.model, place, dirs_exist_ok=True))
        training.curve.unlink(missing_ok=True)
        self.show_curve(training.curve)
        self.folder.touch()
        return json.loads((self.folder / _SPEED).read_text(encoding="utf-8"))

    def write_speed(self, speed: Mapping[str, float]) -> None:
        """Keep what the training took."""
        with atomic_path(self.folder / _SPEED) as temporary:
            temporary.write_text(json.dumps(speed), encoding="utf-8")

    def clear(self) -> None:
        """Remove what a finished training needs no longer."""
        for path in self.folder.iterdir():
            if path.is_dir() and path != self.model:
                shutil.rmtree(path)
            elif path.is_file() and path.name not in (_SPEED, _LOCK, HISTORY):
                path.unlink()

    def make_room(self) -> None:
        """Remove the models of the same arm and seed that were used longest ago, except a few."""
        others = sorted(self.folder.parent.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)
        for stale in others[_KEPT:]:
            try:
                with FileLock(stale / _LOCK, timeout=0):
                    shutil.rmtree(stale, ignore_errors=True)
            except Timeout:  # it is being trained
                continue


def _key(training: Training, params: Params) -> str:
    """The hash of the data, the parameters, the seed, the code, the libraries, and what computes."""
    section = getattr(params, f"train_{training.task}")
    computes = sorted(set(cores.gpus())) or [f"{cores.threads()} threads"]
    content: list[Any] = [
        *(training.task, training.seed, section.model_dump(mode="json")),
        [_sha256(file, file.stat().st_mtime_ns) for split in ("train", "val") for file in _parts(training.data(split))],
        [file_sha256(Path(one)) for one in (section.model, section.weights) if _is_file(one)],
        code.fingerprint(f"stages.train_{training.task}"),
        [version(library) for library in _LIBRARIES],
        computes,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _is_file(value: object) -> bool:
    return isinstance(value, str) and Path(value).is_file()


def _parts(folder: Path) -> list[Path]:
    files = sorted(folder.glob("part-*.parquet"))
    if not files:
        raise UserError(f"{folder}: no part-*.parquet found; run `dvc repro` or `dvc pull` first")
    return files


@cache
def _sha256(file: Path, _changed: int) -> str:
    return file_sha256(file)
