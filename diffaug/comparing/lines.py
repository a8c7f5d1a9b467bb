"""The lines of the table: what is measured, and what follows for the difference of the two sides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.statistics import paired_difference, verdict

FEWEST = 10  # images; a resample of fewer says little about others
_WORDS = {"helped": "B better", "hurt": "A better"}


@dataclass(frozen=True)
class Line:
    """A metric, by its title; `images`: on how many test images it rests; `of_class`: the class, if it is of one."""

    title: str
    images: int
    of_class: str | None = None


@dataclass(frozen=True)
class Compared:
    """A line's means over the trainings of A and B in 0-1 and their difference B - A with the ends of its interval;
    visible_from: the difference that this test would show with a power of 80 %. The last three are None with too few
    images. p and verdict: of the primary metric only."""

    line: Line
    a: float
    b: float
    difference: float
    low: float | None = None
    high: float | None = None
    visible_from: float | None = None
    p: float | None = None
    verdict: str | None = None


def compare_lines(lines: Sequence[Line], sides: Sequence[Sequence[Measured]], confidence: float) -> list[Compared]:
    """Each line compared; the first is the primary metric. sides: of A and B, one `Measured` per training."""
    return [_compare(line, sides, confidence, primary=line is lines[0]) for line in lines]


def _compare(line: Line, sides: Sequence[Sequence[Measured]], confidence: float, primary: bool) -> Compared:
    points = [(a.points[line.title], b.points[line.title]) for a, b in zip(*sides)]
    first, second = (float(mean) for mean in np.mean(points, axis=0))
    if line.images < FEWEST:
        said = f"needs {FEWEST} images" if primary else None
        return Compared(line, first, second, second - first, verdict=said)
    resampled = [(a.resampled[line.title], b.resampled[line.title]) for a, b in zip(*sides)]
    found = paired_difference(points, resampled, confidence)
    # Without any variance, as between a side and itself, the test says nothing about what it would show.
    ends = (found.low, found.high, found.visible_from(1 - confidence) if found.error else None)
    if not primary:
        return Compared(line, first, second, found.mean, *ends)
    said = verdict(found, found.p, confidence, len(points))  # the only primary metric: its p needs no correction
    return Compared(line, first, second, found.mean, *ends, found.p, _WORDS.get(said, said))
