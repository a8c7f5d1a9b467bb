"""The draw of splits: one for both tasks, in which images that belong together stay together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diffaug.dataset.records import SPLITS
from diffaug.sources.real import held_out, stratified_split

Place = tuple[int, int]  # of an image: the number of its set, and its place in it
_Stratum = tuple[int, int]  # the number of a set, and a class of it


@dataclass(frozen=True)
class Draw:
    """A set whose train images are to be drawn into splits.

    strata: by the place of each such image, its class (or the rarest of its boxes); fractions: of val and test, 0 if
    the split is given; given: the splits of the other images, by their places.
    """

    strata: Mapping[int, int]
    fractions: tuple[float, float]
    given: Mapping[int, str]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits into which an image may be drawn."""
        return ("train", *(split for split, fraction in zip(("val", "test"), self.fractions) if fraction))


def draw(draws: Sequence[Draw], clusters: Sequence[Sequence[Place]], seed: int) -> dict[Place, str]:
    """A split for each image to be drawn. clusters: images that belong together, also those of given splits.

    A set in which nothing belongs together is drawn as `stratified_split` does. In others, clusters are placed one by
    one, the largest first, where their classes are furthest below their shares; if a class has no more clusters left
    than splits that lack it, they go to these.
    """
    found: dict[Place, str] = {}
    joined = {place for cluster in clusters for place in cluster}
    rest: list[Sequence[Place]] = []
    for number, one in enumerate(draws):
        places = [(number, place) for place in one.strata]
        if joined.isdisjoint(places):
            found |= zip(places, stratified_split(list(one.strata.values()), *one.fractions, seed))
        else:
            rest += [[place] for place in places if place not in joined]
    return found | _Placing(draws, seed).place([*clusters, *rest])


def starved(draws: Sequence[Draw], found: Mapping[Place, str]) -> list[tuple[int, int, str, int, int]]:
    """Where a class got less than half of its share: set, class, split, images, and the share."""
    have = Counter((set, draws[set].strata[place], split) for (set, place), split in found.items())
    lacking = []
    for number, one in enumerate(draws):
        for stratum, count in sorted(Counter(one.strata.values()).items()):
            for split, wanted in zip(("val", "test"), held_out(count, *one.fractions)):
                if 2 * have[number, stratum, split] < wanted:
                    lacking.append((number, stratum, split, have[number, stratum, split], wanted))
    return lacking


class _Placing:
    """Places clusters one by one, and counts the images of each class of each set in each split."""

    def __init__(self, draws: Sequence[Draw], seed: int) -> None:
        self.draws = draws
        self.order = np.random.default_rng(seed)
        self.wanted: dict[_Stratum, dict[str, int]] = {}
        for number, one in enumerate(draws):
            for stratum, count in Counter(one.strata.values()).items():
                val, test = held_out(count, *one.fractions)
                self.wanted[number, stratum] = {"train": count - val - test, "val": val, "test": test}
        self.have = {key: dict.fromkeys(SPLITS, 0) for key in self.wanted}

    def place(self, clusters: Sequence[Sequence[Place]]) -> dict[Place, str]:
        """A split for each image of the clusters that is to be drawn."""
        drawn = [[place for place in cluster if place[1] in self.draws[place[0]].strata] for cluster in clusters]
        counts = [Counter((set, self.draws[set].strata[place]) for set, place in cluster) for cluster in drawn]
        left = Counter(key for count in counts for key in count)
        fixed = [
            {split for set, place in cluster if (split := self.draws[set].given.get(place))} for cluster in clusters
        ]
        order = self.order.permutation(len(clusters)).tolist()
        found: dict[Place, str] = {}
        for index in sorted(order, key=lambda index: (not fixed[index], -counts[index].total())):
            split = self._best(counts[index], fixed[index], left)
            for key, count in counts[index].items():
                self.have[key][split] += count
                left[key] -= 1
            found |= dict.fromkeys(drawn[index], split)
        return found

    def _best(self, counts: Counter[_Stratum], fixed: set[str], left: Counter[_Stratum]) -> str:
        allowed = [split for split in SPLITS if all(split in self.draws[set].splits for set, _ in counts)]
        for split in reversed(SPLITS):  # of copies in two splits, that in train is dropped before that in val or test
            if split in fixed and split in allowed:
                return split
        for key in sorted(counts):
            lacking = [split for split in SPLITS if self.wanted[key][split] and not self.have[key][split]]
            if left[key] <= len(lacking):
                allowed = [split for split in allowed if split in lacking] or allowed
        return min(allowed, key=lambda split: sum(self._cost(key, split, count) for key, count in counts.items()))

    def _cost(self, key: _Stratum, split: str, count: int) -> float:
        """How much the squared distance to the wanted number grows, relative to that number."""
        wanted = self.wanted[key][split]
        return count * (2 * (self.have[key][split] - wanted) + count) / max(wanted, 1)
