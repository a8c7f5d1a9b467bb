"""How often the verdict reports that something helped or hurt for two arms of trained classifiers that are alike: the
control of the params, trained with many seeds, split into two arms many times.

The comparisons share models and test images, so their share is less precise than that of independent comparisons.

python benchmarks/alike.py [--models 24] [--comparisons 200]
"""

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from calibration import percentile

from diffaug.classifier.predicting import predict_logits, to_tensors
from diffaug.classifier.training import train_classifier
from diffaug.dataset.records import read_set
from diffaug.evaluation.classification import ClsPredictions, resample_classification, score_classification
from diffaug.evaluation.comparison import Measured, compare
from diffaug.evaluation.statistics import image_weights
from diffaug.params import load_params
from diffaug.runtime.device import choose_device
from diffaug.training.order import endless
from diffaug.training.run import Run

_FIRST = 1000  # not a seed of the params
_SEEDS = (2, 3, 5)


def measure(models: int, resamples: int) -> list[Measured]:
    """Accuracy of `models` controls on the real test images."""
    params, device = load_params().train_cls, choose_device()
    sets = [read_set(Path(f"data/real/cls/{split}")) for split in ("train", "val", "test")]
    train, val, test = (to_tensors(one, params.image_size, device) for one in sets)
    weights, classes = image_weights(len(test.labels), resamples, 0), len(sets[0].names)
    found = []
    for seed in range(_FIRST, _FIRST + models):
        print(f"control {seed - _FIRST + 1} of {models}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            run = Run(f"seed {seed}", seed, partial(_order, len(train.labels), seed), Path(folder))
            model = train_classifier(train, val, classes, params, run).model
        seen = ClsPredictions(predict_logits(model, test.images).softmax(dim=1).cpu(), test.labels.cpu())
        found.append(Measured(score_classification(seen), resample_classification(seen, weights)))
    return found


def _order(count: int, seed: int, start: int) -> Iterator[int]:
    return endless(count, seed, start=start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=24)
    parser.add_argument("--comparisons", type=int, default=200)
    asked = parser.parse_args()
    if asked.models < 2 * max(_SEEDS):
        parser.error(f"--models must be at least {2 * max(_SEEDS)}, two arms of {max(_SEEDS)}")
    measured = measure(asked.models, load_params().evaluate.resamples)
    points = [one.points["accuracy"] for one in measured]
    print(f"accuracy of {asked.models} controls: mean {np.mean(points):.4f}, deviation {np.std(points, ddof=1):.4f}")
    print("| seeds | diffaug says so | percentile bootstrap | mean width of the interval, points |\n|---|---|---|---|")
    for seeds in _SEEDS:
        generator = np.random.default_rng(seeds)
        said, bootstrap, width = 0, 0, 0.0
        for _ in range(asked.comparisons):
            drawn = [measured[place] for place in generator.permutation(asked.models)[: 2 * seeds]]
            arms = {"real": drawn[:seeds], "merged": drawn[seeds:]}
            delta = compare(arms, 0.95).delta["accuracy"]
            gaps = [second.resampled["accuracy"] - first.resampled["accuracy"] for first, second in zip(*arms.values())]
            said += delta["p"] < 0.05
            bootstrap += percentile(np.stack(gaps, axis=1), generator)
            width += 100 * (delta["high"] - delta["low"]) / asked.comparisons
        print(f"| {seeds} | {said / asked.comparisons:.3f} | {bootstrap / asked.comparisons:.3f} | {width:.1f} |")


if __name__ == "__main__":
    main()
