"""How often the verdict reports that something helped or hurt for two arms of trained classifiers that are alike: the
control of the params, trained with many seeds, split into two arms many times.

The comparisons share models and test images, so their share is less precise than that of independent comparisons.

python benchmarks/alike.py [--models 24] [--comparisons 200]
"""

import argparse
from pathlib import Path

import numpy as np
from simulation import percentile
from trained import train_and_measure

from diffaug.dataset.records import read_set
from diffaug.evaluation.comparison import compare
from diffaug.params import load_params

_FIRST = 1000  # not a seed of the params
_SEEDS = (2, 3, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=24)
    parser.add_argument("--comparisons", type=int, default=200)
    asked = parser.parse_args()
    if asked.models < 2 * max(_SEEDS):
        parser.error(f"--models must be at least {2 * max(_SEEDS)}, two arms of {max(_SEEDS)}")
    seeds_of_all = range(_FIRST, _FIRST + asked.models)
    measured = train_and_measure(read_set(Path("data/real/cls/train")), seeds_of_all, load_params(), "control")
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
            resampled = [tuple(one.resampled["accuracy"] for one in pair) for pair in zip(*arms.values())]
            said += delta["p"] < 0.05
            bootstrap += percentile(resampled, generator)
            width += 100 * (delta["high"] - delta["low"]) / asked.comparisons
        print(f"| {seeds} | {said / asked.comparisons:.3f} | {bootstrap / asked.comparisons:.3f} | {width:.1f} |")


if __name__ == "__main__":
    main()
