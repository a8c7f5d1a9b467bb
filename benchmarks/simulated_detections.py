"""Simulated detections of two arms, as matches with the objects of test images, without training.

An image has a difficulty, an object has one, and a detector has an ability. Together they decide how well a box fits:
the fit decides at which IoUs it hits, and with which score it is found. Every detector also gives false alarms.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from simulation import CONFIDENCE, Resampled, draw_abilities

from diffaug.evaluation.detection import ClassMatches, resample_detection
from diffaug.evaluation.statistics import Difference, image_weights, paired_difference

METRIC = "mAP50_95"
_RESAMPLES = 100
_CLASSES = 3
_EASE, _OF_IMAGE, _OF_OBJECT, _NOISE = 0.45, 0.5, 0.8, 0.5  # mAP50-95 about 0.25, as for the default control
_FITS = np.linspace(0.0, 2.2, 10)  # the fit that hits at IoU 0.50 to 0.95
_FOUND = -0.8  # a box that fits worse is not there
_ALARMS, _ALARM_SCORE = 0.7, -0.6  # false alarms of each class in an image; the mean of their scores


@dataclass(frozen=True)
class Scenes:
    """Test images: their number; the image, the class and the difficulty of each object."""

    images: int
    image: np.ndarray
    category: np.ndarray
    difficulty: np.ndarray


def draw_scenes(images: int, generator: np.random.Generator) -> Scenes:
    """One to three objects in each image; one image in ten is empty, as in the default."""
    counts = generator.integers(1, 4, images) * (generator.random(images) >= 0.1)
    image = np.repeat(np.arange(images), counts)
    difficulty = generator.normal(0, _OF_IMAGE, images)[image] + generator.normal(0, _OF_OBJECT, len(image))
    return Scenes(images, image, generator.integers(_CLASSES, size=len(image)), difficulty)


def detect(scenes: Scenes, ability: float, generator: np.random.Generator) -> list[ClassMatches]:
    """What a detector of this ability finds, one entry per class."""
    fit = _EASE + ability - scenes.difficulty + generator.normal(0, _NOISE, len(scenes.image))
    scores = fit + generator.normal(0, _NOISE, len(fit))
    found = []
    for category in range(_CLASSES):
        of_class = scenes.category == category
        boxes = of_class & (fit > _FOUND)
        alarms = np.repeat(np.arange(scenes.images), generator.poisson(_ALARMS, scenes.images))
        image = np.concatenate([scenes.image[boxes], alarms])
        hit = np.concatenate([fit[boxes] > _FITS[:, None], np.zeros((10, len(alarms)), dtype=bool)], axis=1)
        score = np.concatenate([scores[boxes], generator.normal(_ALARM_SCORE, 1, len(alarms))])
        order = np.argsort(-score)
        objects = np.bincount(scenes.image[of_class], minlength=scenes.images)
        found.append(ClassMatches(image[order], hit[:, order], objects))
    return found


def precision(matches: Sequence[ClassMatches], weights: np.ndarray) -> np.ndarray:
    """mAP50-95 for each row of weights."""
    return resample_detection(matches, weights)[METRIC]


def compare_detectors(
    images: int, seeds: int, spread: float, gain: float, count: int
) -> Iterator[tuple[Difference, Resampled]]:
    """`count` comparisons of mAP50-95, each with images and models of its own."""
    generator = np.random.default_rng([images, seeds, round(1e6 * spread), round(1e6 * gain)])
    for _ in range(count):
        scenes, abilities = draw_scenes(images, generator), draw_abilities(seeds, spread, gain, generator)
        arms = [[precision(detect(scenes, one, generator), _weights(images)) for one in arm] for arm in abilities]
        points = [(float(real[0]), float(merged[0])) for real, merged in zip(*arms)]
        resampled = [(real[1:], merged[1:]) for real, merged in zip(*arms)]
        yield paired_difference(points, resampled, CONFIDENCE), resampled


@lru_cache
def _weights(images: int) -> np.ndarray:
    """The whole test set first, then the resamples; all comparisons use the same, each on images of its own."""
    return np.concatenate([np.ones((1, images)), image_weights(images, _RESAMPLES, images)])


def true_difference(spread: float, gain: float, models: int = 200, images: int = 3000) -> float:
    """The mean over very many images and models. Both arms are given the same seeds' abilities, scenes and random
    numbers, which changes no mean and lets few models suffice."""
    generator, total = np.random.default_rng([models, images]), 0.0
    for number in range(models if gain else 0):
        scenes, ability = draw_scenes(images, generator), generator.normal(0, spread)
        real, merged = (
            float(precision(detect(scenes, one, np.random.default_rng(number)), np.ones((1, images)))[0])
            for one in (ability, ability + gain)
        )
        total += (merged - real) / models
    return total
