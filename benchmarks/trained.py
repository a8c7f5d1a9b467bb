"""Classifiers trained as the stages train them, and their accuracy on the real test images."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from diffaug.classifier.predicting import predict_logits, to_tensors
from diffaug.classifier.training import train_classifier
from diffaug.dataset.records import ImageSet, read_set
from diffaug.evaluation.classification import ClsPredictions, resample_classification, score_classification
from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.statistics import image_weights
from diffaug.params import Params
from diffaug.runtime.device import choose_device
from diffaug.training.order import endless
from diffaug.training.run import Run
from diffaug.training.treatment import treatment_of, weights


def train_and_measure(images: ImageSet, seeds: Sequence[int], params: Params, name: str) -> list[Measured]:
    """One classifier for each seed, trained on these images; all are measured on the same resampled test images."""
    settings, device, treatment = params.train_cls, choose_device(), treatment_of(images)
    sets = [images, *(read_set(Path(f"data/real/cls/{split}")) for split in ("val", "test"))]
    train, val, test = (to_tensors(one, settings.image_size, device) for one in sets)
    strong = treatment.classic or settings.augmentation == "strong"
    drawn, found = image_weights(len(test.labels), params.evaluate.resamples, 0), []
    for number, seed in enumerate(seeds, 1):
        print(f"{name}: training {number} of {len(seeds)}", flush=True)
        order = partial(endless, len(images), seed, weights(images.records, treatment))
        with tempfile.TemporaryDirectory() as folder:
            run = Run(f"seed {seed}", seed, lambda start, order=order: order(start=start), Path(folder))
            model = train_classifier(train, val, len(images.names), settings, run, strong).model
        seen = ClsPredictions(predict_logits(model, test.images).softmax(dim=1).cpu(), test.labels.cpu())
        found.append(Measured(score_classification(seen), resample_classification(seen, drawn)))
    return found
