"""How often the verdict reports that something helped or hurt: for two arms that are alike, and for true differences.

python benchmarks/calibration.py [--comparisons 1000] [TABLE ...]

Everything is simulated, nothing is trained. The tables, all of them if none is named:

accuracy    one metric of classifiers: how often diffaug reports helped, and helped or hurt (p < 0.05 of this metric
            alone), how often its 95 % interval contains the true effect, and how often a percentile bootstrap over
            images and seeds finds a difference
detection   the same for mAP50-95 of detectors, with a fifth of the comparisons
primaries   two tasks with all their metrics: how often a run has a wrong verdict, and how often a true effect is found
visible     how often a true difference as large as the printed "visible from" is found
draws       how often the interval contains the mean over all draws of the synthetic images

Effects and widths are in points of 100, rates in 0-1.
"""

import argparse
import itertools
from collections.abc import Iterable

import numpy as np
from simulated_detections import compare_detectors, true_difference
from simulated_runs import FAMILY, PRIMARIES, SCENARIOS, primary_found, simulate_verdicts, wrong
from simulation import (
    Resampled,
    compare_classifiers,
    compare_with_draws,
    contains,
    gain_for,
    percentile,
    true_accuracy,
)

from diffaug.evaluation.metrics import TASKS
from diffaug.evaluation.statistics import Difference

_SEEDS = (2, 3, 5)
_SETTING = ("test images", "seeds", "spread of seeds")
_RATES = ("effect", "helped", "helped or hurt", "interval contains the effect", "percentile bootstrap")


def accuracy(count: int) -> None:
    _header(*_SETTING, *_RATES)
    for images, seeds, spread, gain in itertools.product((200, 2000), _SEEDS, (0.0, 0.05, 0.15), (0.0, 0.1, 0.3)):
        effect = true_accuracy(gain, spread) - true_accuracy(0.0, spread)
        comparisons = compare_classifiers(images, seeds, spread, gain, count)
        _row(images, seeds, f"{spread:g}", f"{100 * effect:+.1f}", *_rates(comparisons, effect))


def detection(count: int) -> None:
    _header(*_SETTING, *_RATES)
    truths = {(spread, gain): true_difference(spread, gain) for spread in (0.0, 0.15) for gain in (0.0, 0.2)}
    for images, seeds, ((spread, gain), effect) in itertools.product((100, 300), _SEEDS, truths.items()):
        comparisons = compare_detectors(images, seeds, spread, gain, count // 5)
        _row(images, seeds, f"{spread:g}", f"{100 * effect:+.1f}", *_rates(comparisons, effect))


def _rates(comparisons: Iterable[tuple[Difference, Resampled]], effect: float) -> list[float]:
    """The columns `_RATES` after the first."""
    generator = np.random.default_rng(0)
    found = [
        (one.p < 0.05 and one.mean > 0, one.p < 0.05, contains(one, effect), percentile(resampled, generator))
        for one, resampled in comparisons
    ]
    return np.mean(found, axis=0).tolist()


def primaries(count: int) -> None:
    faults = [f"wrong: {what}" for what in ("a primary", *(f"any of {task}" for task in TASKS), "any")]
    _header("true effect", *faults, "primary found", "wrong: any, one family", "primary found, one family")
    for seed, (name, effects) in enumerate(SCENARIOS.items()):
        by_rules, as_family = zip(*simulate_verdicts(effects, count, seed))
        groups = [PRIMARIES, *({key for key in FAMILY if key[0] == task} for task in TASKS), set(FAMILY)]
        wrongs = [wrong(run, effects) for run in by_rules]
        rates = [float(np.mean([bool(run & group) for run in wrongs])) for group in groups]
        in_family = float(np.mean([bool(wrong(run, effects)) for run in as_family]))
        _row(name, *rates, primary_found(by_rules, effects), in_family, primary_found(as_family, effects))


def visible(count: int) -> None:
    levels = {"one test": 0.05, "first of two": 0.025}
    _header(*_SETTING, *(f"{what}, {name}" for name in levels for what in ("visible from", "found")))
    for images, seeds, spread in itertools.product((200, 2000), _SEEDS, (0.0, 0.05, 0.15)):
        alike = [one for one, _ in compare_classifiers(images, seeds, spread, 0.0, count)]
        cells = []
        for level in levels.values():
            effect = float(np.mean([one.visible_from(level) for one in alike]))
            comparisons = compare_classifiers(images, seeds, spread, gain_for(effect, spread), count)
            found = np.mean([one.p < level and one.mean > 0 for one, _ in comparisons])
            cells += [f"{100 * effect:.1f}", float(found)]
        _row(images, seeds, f"{spread:g}", *cells)


def draws(count: int) -> None:
    columns = [f"{way}: {what}" for way in ("shared", "own") for what in ("contains the mean of all draws", "width")]
    _header("seeds", "spread of seeds", "spread of draws", *columns)
    for seeds, spread, ratio in itertools.product((3, 5), (0.05, 0.1), (0.0, 0.5, 1.0, 2.0)):
        cells: list[object] = []
        for shared in (True, False):
            found, effect = compare_with_draws(2000, seeds, spread, ratio * spread, shared, count)
            width = np.mean([one.high - one.low for one in found])
            cells += [float(np.mean([contains(one, effect) for one in found])), f"{100 * width:.1f}"]
        _row(seeds, f"{spread:g}", f"{ratio * spread:g}", *cells)


def _header(*columns: str) -> None:
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")


def _row(*cells: object) -> None:
    print(f"| {' | '.join(f'{cell:.3f}' if isinstance(cell, float) else str(cell) for cell in cells)} |", flush=True)


TABLES = {one.__name__: one for one in (accuracy, detection, primaries, visible, draws)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=1000)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; all of them if none is named")
    asked = parser.parse_args()
    if unknown := set(asked.tables) - TABLES.keys():
        parser.error(f"no table {', '.join(sorted(unknown))}; allowed: {', '.join(TABLES)}")
    if asked.comparisons < 5:
        parser.error("--comparisons must be at least 5")
    for name in asked.tables or TABLES:
        TABLES[name](asked.comparisons)


if __name__ == "__main__":
    main()
