"""Train one YOLO detector: reads data/ARM/det/{train,val}, writes models/det/ARM-SEED.

Alone: python stages/train_det.py ARM SEED (ARM: real or merged)
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from diffaug.dataset.records import read_set
from diffaug.detector.network import save_detector
from diffaug.detector.training import train_detector
from diffaug.export.yolo import write_data_yaml, write_yolo
from diffaug.params import Params
from diffaug.runtime.device import choose_device
from diffaug.stage import run_stage
from diffaug.training.history import write_history
from diffaug.training.order import endless
from diffaug.training.treatment import treatment_of, weights


def train_det(arm: str, seed: int, params: Params, work: Path) -> Mapping[str, float]:
    """Train for the same number of steps in both arms. Without data the model's folder stays empty."""
    folder = Path(f"models/det/{arm}-{seed}")
    train, val = (read_set(Path(f"data/{arm}/det/{split}")) for split in ("train", "val"))
    if not len(train):
        folder.mkdir(parents=True, exist_ok=True)
        return {"steps": 0}
    write_yolo(train, work, "train")
    write_yolo(val, work, "val")
    data = write_data_yaml(work, train.names, {"train": "train", "val": "val"})
    treatment = treatment_of(train)
    indices = endless(len(train), seed, weights(train.records, treatment))
    label = f"train_det: {arm}, seed {seed}"
    trained = train_detector(
        data, train.names, params.train_det, seed, work, choose_device(), label, indices, treatment.classic
    )
    save_detector(folder, trained.model, params.train_det, train.names)
    write_history(folder, trained.history)
    return {"steps": params.train_det.steps}


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("real", "merged") or not sys.argv[2].isdigit():
        sys.exit("usage: python stages/train_det.py real|merged SEED")
    name = f"train_det-{sys.argv[1]}-{sys.argv[2]}"
    run_stage(name, partial(train_det, sys.argv[1], int(sys.argv[2])))
