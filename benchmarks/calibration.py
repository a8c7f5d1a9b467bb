"""How often the verdict reports that something helped or hurt: for two arms that are alike, and for true differences.

Simulated images with a difficulty each and models with an ability each (its spread simulates the seeds), no training. A
row's effect is in points of 100 of accuracy; the last three columns are the share of comparisons in which diffaug
reports helped, and helped or hurt (p < 0.05), and in which a percentile bootstrap over images and seeds finds a
difference.

python benchmarks/calibration.py [--comparisons 200]
"""

import argparse
import itertools

import numpy as np

from diffaug.evaluation.statistics import image_weights, paired_difference

_RESAMPLES = 200
_EASE, _DIFFICULTY, _NOISE = 0.8, 1.2, 0.7  # accuracy about 0.71, as for the default control


def hits(images: int, seeds: int, spread: float, gain: float, generator: np.random.Generator) -> np.ndarray:
    """bool (2, seeds, images): which images each model of the two arms gets right."""
    difficulty = generator.normal(_EASE, _DIFFICULTY, images)
    ability = generator.normal(0, spread, (2, seeds, 1)) + np.array([0, gain]).reshape(2, 1, 1)
    return difficulty + ability + generator.normal(0, _NOISE, (2, seeds, images)) > 0


def percentile(gaps: np.ndarray, generator: np.random.Generator) -> bool:
    """Whether the percentile bootstrap's interval excludes zero. gaps: (R, seeds)."""
    drawn = generator.integers(gaps.shape[1], size=gaps.shape)
    low, high = np.quantile(np.take_along_axis(gaps, drawn, axis=1).mean(axis=1), [0.025, 0.975])
    return bool(low > 0 or high < 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=200)
    count = parser.parse_args().comparisons
    print("| test images | seeds | spread of seeds | effect | helped | helped or hurt | percentile bootstrap |")
    print("|---|---|---|---|---|---|---|")
    for images, seeds, spread, gain in itertools.product((200, 2000), (2, 3, 5), (0.0, 0.05, 0.15), (0.0, 0.1, 0.3)):
        generator = np.random.default_rng([images, seeds, round(100 * spread), round(100 * gain)])
        helped, said, bootstrap, effect = 0, 0, 0, 0.0
        for _ in range(count):
            right = hits(images, seeds, spread, gain, generator).astype(np.float64)
            weights = image_weights(images, _RESAMPLES, int(generator.integers(2**31))) / images
            resampled = [(weights @ right[0, seed], weights @ right[1, seed]) for seed in range(seeds)]
            points = list(zip(right[0].mean(axis=1), right[1].mean(axis=1)))
            difference = paired_difference(points, resampled, 0.95)
            said += difference.p < 0.05
            helped += difference.p < 0.05 and difference.mean > 0
            bootstrap += percentile(np.stack([second - first for first, second in resampled], axis=1), generator)
            effect += difference.mean / count
        row = f"{100 * effect:+.1f} | {helped / count:.3f} | {said / count:.3f} | {bootstrap / count:.3f}"
        print(f"| {images} | {seeds} | {spread:g} | {row} |", flush=True)


if __name__ == "__main__":
    main()
