"""Train one ResNet classifier: reads data/ARM/cls/{train,val}, writes models/cls/ARM-SEED.

Alone: python stages/train_cls.py ARM SEED (ARM: real or merged)
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from diffaug.classifier.network import save_classifier
from diffaug.classifier.predicting import to_tensors
from diffaug.classifier.training import train_classifier
from diffaug.dataset.records import read_set
from diffaug.params import Params
from diffaug.runtime.device import choose_device
from diffaug.stage import run_stage
from diffaug.training.history import write_history
from diffaug.training.order import endless
from diffaug.training.treatment import treatment_of, weights


def train_cls(arm: str, seed: int, params: Params, work: Path) -> Mapping[str, float]:
    """Train for the same number of steps in both arms. Without data the model's folder stays empty."""
    folder = Path(f"models/cls/{arm}-{seed}")
    images, val_images = (read_set(Path(f"data/{arm}/cls/{split}")) for split in ("train", "val"))
    if not len(images):
        folder.mkdir(parents=True, exist_ok=True)
        return {"steps": 0}
    names, treatment = images.names, treatment_of(images)
    train, val = (to_tensors(one, params.train_cls.image_size, choose_device()) for one in (images, val_images))
    label = f"train_cls: {arm}, seed {seed}"
    indices = endless(len(images), seed, weights(images.records, treatment))
    trained = train_classifier(train, val, len(names), params.train_cls, seed, label, indices, treatment.classic)
    save_classifier(folder, trained.model, params.train_cls, names)
    write_history(folder, trained.history)
    return {"steps": params.train_cls.steps}


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("real", "merged") or not sys.argv[2].isdigit():
        sys.exit("usage: python stages/train_cls.py real|merged SEED")
    name = f"train_cls-{sys.argv[1]}-{sys.argv[2]}"
    run_stage(name, partial(train_cls, sys.argv[1], int(sys.argv[2])))
