"""Train one YOLO detector: reads data/real/det or data/merged/SEED/det, writes models/det/ARM-SEED and the curve
metrics/curves/det/ARM-SEED.csv.

Alone: python stages/train_det.py ARM SEED (ARM: real or merged)
"""

import sys
from functools import partial
from pathlib import Path

import diffaug.runtime.start  # noqa: F401 - first, so that Ctrl-C is one line while the others are imported
from diffaug.params import Params
from diffaug.runtime.processes import is_child
from diffaug.stage import run_stage
from diffaug.training.finished import Training
from diffaug.training.siblings import obtain, tell_steps, train_as_child


def train_det(training: Training, params: Params, folder: Path, model: Path) -> int:
    """Train for the same number of steps in both arms; the finished model goes into the folder `model`."""
    # Imported here, since a stage that takes a finished model needs none of it.
    from diffaug.dataset.records import read_set
    from diffaug.detector.network import save_detector
    from diffaug.detector.training import train_detector
    from diffaug.export.yolo import write_data_yaml, write_yolo
    from diffaug.runtime.device import choose_device
    from diffaug.training.order import endless
    from diffaug.training.run import Run
    from diffaug.training.treatment import treatment_of, weights

    train, val = (read_set(training.data(split)) for split in ("train", "val"))
    write_yolo(train, folder / "yolo", "train")
    write_yolo(val, folder / "yolo", "val")
    data = write_data_yaml(folder / "yolo", train.names, {"train": "train", "val": "val"})
    treatment = treatment_of(train)
    order = partial(endless, len(train), training.seed, weights(train.records, treatment))
    run = Run(training.stage, training.seed, lambda start: order(start=start), folder, tell_steps)
    strong = treatment.classic or params.train_det.augmentation == "strong"
    trained = train_detector(data, train.names, params.train_det, run, choose_device(), strong)
    save_detector(model, trained.model, params.train_det, train.names)
    return params.train_det.steps


if __name__ == "__main__":
    training = Training.of("det", sys.argv)
    if is_child():
        train_as_child(training, train_det)
    else:
        run_stage(training.name, partial(obtain, training))
