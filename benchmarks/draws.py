"""How often the interval contains the mean over all draws of the synthetic images, for trained classifiers: if all
seeds share one draw, and if each seed has its own.

python benchmarks/draws.py [--models 3] [--controls 12] [--choices 1000]

Run it where `dvc repro` has run with `draws: own` and 6 seeds or more; 12 are better. It trains `--models` classifiers
on each seed's data/merged/SEED/cls and `--controls` on the real images, each with a seed of its own, and measures all
on the same real test images. Then it chooses three models for each arm many times.

The mean of all models stands for the truth. This favours the intervals, since the chosen models are part of that mean.
All models share the test images, so their error is not seen; the last columns leave it out of the interval too.

What is trained is kept in .work/draws, by its images and settings, so a second start goes on; remove that folder after
an edit of the code.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import torch
from simulation import CONFIDENCE, contains
from trained import train_and_measure

from diffaug.dataset.records import read_set
from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.statistics import Difference, paired_difference
from diffaug.params import Params, load_params
from diffaug.runtime import cores
from diffaug.runtime.files import atomic_path
from diffaug.runtime.seals import SEAL, check_seal
from diffaug.runtime.work import work_folder

REAL = Path("data/real/cls")
_FIRST = 1000  # not a seed of the params
_CHOSEN = 3
_FEWEST = 6


def choose(draws: Sequence[Sequence[Measured]], shared: bool, generator: np.random.Generator) -> list[Measured]:
    """Three models: of one draw, or each of another draw."""
    if shared:
        draw = draws[generator.integers(len(draws))]
        return [draw[place] for place in generator.permutation(len(draw))[:_CHOSEN]]
    return [
        draws[place][generator.integers(len(draws[place]))] for place in generator.permutation(len(draws))[:_CHOSEN]
    ]


def compare_accuracy(real: Sequence[Measured], merged: Sequence[Measured], images: bool) -> Difference:
    """The difference with its interval for other seeds and draws, and for other test images if `images`."""
    pairs = list(zip(real, merged))
    points = [tuple(one.points["accuracy"] for one in pair) for pair in pairs]
    resampled = [tuple(one.resampled["accuracy"] for one in pair) for pair in pairs]
    fixed = [tuple(np.full(2, point) for point in pair) for pair in points]
    return paired_difference(points, resampled if images else fixed, CONFIDENCE)


def cover(
    draws: Sequence[Sequence[Measured]], controls: Sequence[Measured], shared: bool, images: bool, choices: int
) -> tuple[float, float]:
    """How often the interval contains the difference of all models, and its mean width."""
    generator = np.random.default_rng(0)
    truth = np.mean([accuracies(one) for one in draws]) - np.mean(accuracies(controls))
    inside, width = 0, 0.0
    for _ in range(choices):
        real = [controls[place] for place in generator.permutation(len(controls))[:_CHOSEN]]
        found = compare_accuracy(real, choose(draws, shared, generator), images)
        inside += contains(found, float(truth))
        width += found.high - found.low
    return inside / choices, width / choices


def accuracies(models: Sequence[Measured]) -> list[float]:
    return [one.points["accuracy"] for one in models]


def spreads(draws: Sequence[Sequence[Measured]]) -> tuple[float, float]:
    """The deviation of the draws and that of the models of one draw (analysis of variance); 0 if the means of the draws
    differ less than their models alone make them differ."""
    values = np.array([accuracies(one) for one in draws])
    of_models = values.var(axis=1, ddof=1).mean()
    of_draws = values.mean(axis=1).var(ddof=1) - of_models / values.shape[1]
    return float(np.sqrt(max(0.0, of_draws))), float(np.sqrt(of_models))


def train(params: Params, seeds: Sequence[int], models: int, controls: int) -> list[list[Measured]]:
    """The controls first, then the models of each draw; on a CPU side by side, one on each core."""
    wanted = [(REAL / "train", range(_FIRST, _FIRST + controls))]
    for number, seed in enumerate(seeds, 2):
        wanted.append((Path(f"data/merged/{seed}/cls/train"), range(_FIRST * number, _FIRST * number + models)))
    side_by_side = 1 if cores.gpus() else cores.side_by_side(params.jobs)
    jobs = [joblib.delayed(_trained)(folder, seed, params) for folder, own in wanted for seed in own]
    found = iter(joblib.Parallel(n_jobs=side_by_side)(jobs))
    return [[next(found) for _ in own] for _, own in wanted]


def _trained(folder: Path, seed: int, params: Params) -> Measured:
    """From an earlier start, if the images, the seed and the settings were the same."""
    images = (folder, REAL / "val", REAL / "test")
    for one in images:
        check_seal(one)
    seals = [(one / SEAL).read_text(encoding="utf-8") for one in images]
    key = hashlib.sha256(repr((seals, seed, params.train_cls, params.evaluate.resamples)).encode()).hexdigest()
    kept = work_folder("draws") / f"{key[:16]}.pickle"
    if not kept.exists():
        torch.set_num_threads(1)
        (measured,) = train_and_measure(read_set(folder), [seed], params, f"{folder.as_posix()}, seed {seed}")
        with atomic_path(kept) as temporary:
            joblib.dump(measured, temporary)
    return joblib.load(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=3, help="models trained on each draw")
    parser.add_argument("--controls", type=int, default=12)
    parser.add_argument("--choices", type=int, default=1000)
    asked, params = parser.parse_args(), load_params()
    if min(asked.models, asked.controls) < _CHOSEN:
        parser.error(f"--models and --controls must be at least {_CHOSEN}")
    if params.draws != "own" or len(params.seeds) < _FEWEST:
        found = f"draws: {params.draws} and {len(params.seeds)} seeds"
        parser.error(f"params.yaml has {found}; set draws: own and {_FEWEST} seeds or more, and run `dvc repro`")
    controls, *draws = train(params, params.seeds, asked.models, asked.controls)
    of_draws, of_models = (100 * one for one in spreads(draws))
    merged, real = (100 * np.array(one) for one in ([accuracies(one) for one in draws], accuracies(controls)))
    print(
        f"{len(draws)} draws, {asked.models} models each: accuracy {merged.mean():.2f} %, deviation of the draws",
        end=" ",
    )
    print(f"{of_draws:.2f} points, of the models of one draw {of_models:.2f}")
    print(f"{len(controls)} controls: accuracy {real.mean():.2f} %, deviation {real.std(ddof=1):.2f} points")
    print("means of the draws, %:", ", ".join(f"{one:.2f}" for one in merged.mean(axis=1)))
    print("| draws | contains the mean | width, points | without test images: contains the mean | width, points |")
    print("|---|---|---|---|---|")
    for shared in (True, False):
        cells = [cover(draws, controls, shared, images, asked.choices) for images in (True, False)]
        rates = " | ".join(f"{inside:.3f} | {100 * width:.1f}" for inside, width in cells)
        print(f"| {'shared' if shared else 'own'} | {rates} |")


if __name__ == "__main__":
    main()
