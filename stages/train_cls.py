"""Train one ResNet classifier: reads data/real/cls or data/merged/SEED/cls, writes models/cls/ARM-SEED and the curve
metrics/curves/cls/ARM-SEED.csv.

Alone: python stages/train_cls.py ARM SEED (ARM: real or merged)
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


def train_cls(training: Training, params: Params, folder: Path, model: Path) -> int:
    """Train for the same number of steps in both arms; the finished model goes into the folder `model`."""
    # Imported here, since a stage that takes a finished model needs none of it.
    from diffaug.classifier.network import save_classifier
    from diffaug.classifier.predicting import to_tensors
    from diffaug.classifier.training import train_classifier
    from diffaug.dataset.records import read_set
    from diffaug.runtime.device import choose_device
    from diffaug.training.order import endless
    from diffaug.training.run import Run
    from diffaug.training.treatment import treatment_of, weights

    images, val_images = (read_set(training.data(split)) for split in ("train", "val"))
    treatment = treatment_of(images)
    train, val = (to_tensors(one, params.train_cls.image_size, choose_device()) for one in (images, val_images))
    order = partial(endless, len(images), training.seed, weights(images.records, treatment))
    run = Run(training.stage, training.seed, lambda start: order(start=start), folder, tell_steps)
    strong = treatment.classic or params.train_cls.augmentation == "strong"
    trained = train_classifier(train, val, len(images.names), params.train_cls, run, strong)
    save_classifier(model, trained.model, params.train_cls, images.names)
    return params.train_cls.steps


if __name__ == "__main__":
    training = Training.of("cls", sys.argv)
    if is_child():
        train_as_child(training, train_cls)
    else:
        run_stage(training.name, partial(obtain, training))
