"""Which images belong together: the same pixels, the same group, or the same looks."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType

from diffaug.sources.draws import Draw, Place
from diffaug.sources.opening import Opened

_HALF = 0.5


def joined(
    opened: Sequence[Sequence[Opened]], draws: Sequence[Draw], near: Sequence[tuple[Place, Place]]
) -> list[list[Place]]:
    """The clusters of two or more images that the draw must keep together. near: pairs that look alike.

    Looks do not count where they would leave a class without an image in a split, or join more than half of the
    images, as with a fixed camera: then one line is printed.
    """
    drawn = {(number, place) for number, one in enumerate(draws) for place in one.strata}
    links = list(_same(opened, draws, drawn))
    # An image of a given split counts for the other task only: its own splits are as the files say.
    near = [pair for pair in near if drawn.issuperset(pair) or (drawn.intersection(pair) and pair[0][0] != pair[1][0])]
    given = {(number, place): split for number, one in enumerate(draws) for place, split in one.given.items()}
    alone, clusters = _clusters(links), _clusters(links, near, given)
    largest = _largest(clusters, drawn)
    if largest > max(_HALF * len(drawn), _largest(alone, drawn)):
        print(
            f"download: {largest} of {len(drawn)} images look alike, as with a fixed camera, so the draw of the splits "
            "does not keep them together; if they are frames of some videos, name these with group"
        )
        return alone
    short = scarce(draws, clusters).keys() - scarce(draws, alone).keys()
    if not short:
        return clusters
    print(
        f"download: all images of {len(short)} of the classes look alike, so the draw of the splits does not keep "
        "these together"
    )
    kept = [pair for pair in near if not any((set, draws[set].strata.get(place)) in short for set, place in pair)]
    return _clusters(links, kept, given)


def _largest(clusters: Sequence[Sequence[Place]], drawn: set[Place]) -> int:
    return max((len(drawn.intersection(cluster)) for cluster in clusters), default=0)


def _same(
    opened: Sequence[Sequence[Opened]], draws: Sequence[Draw], drawn: set[Place]
) -> Iterable[tuple[Place, Place]]:
    """Pairs with the same pixels or group. An image of a given split counts only by its pixels, for other sets."""
    first: dict[tuple[str, Hashable], Place] = {}
    for number, images in enumerate(opened):
        for index, image in enumerate(images):
            place = (number, index)
            keys: list[tuple[str, Hashable]] = [("pixels", image.pixels)]
            if place in drawn and image.group is not None:
                keys.append(("group", image.group))
            elif place not in drawn and not any(draws[other].strata for other in range(len(draws)) if other != number):
                continue
            for key in keys:
                if (other := first.setdefault(key, place)) != place:
                    yield other, place


def _clusters(
    links: Iterable[tuple[Place, Place]],
    near: Iterable[tuple[Place, Place]] = (),
    given: Mapping[Place, str] = MappingProxyType({}),
) -> list[list[Place]]:
    """What the links join; and what looks alike, unless this would join images of two given splits: one of the images
    to be drawn could then not follow its own copy in the other task."""
    parent: dict[Place, Place] = {}
    splits: dict[Place, str] = {}  # the given one, by the top of a cluster

    def top(place: Place) -> Place:
        while parent.setdefault(place, place) != place:
            parent[place] = place = parent[parent[place]]
        return place

    def join(one: Place, other: Place) -> None:
        low, high = sorted((one, other))
        parent[high] = low
        if split := splits.get(low) or splits.get(high):
            splits[low] = split

    for pair in links:
        join(*map(top, pair))
    for place, split in given.items():
        if place in parent:
            splits.setdefault(top(place), split)
    for one, other in near:
        for place in (one, other):
            if place not in parent and place in given:
                splits[top(place)] = given[place]
        ends = top(one), top(other)
        if len({splits[end] for end in ends if end in splits}) < 2:
            join(*ends)
    members: dict[Place, list[Place]] = defaultdict(list)
    for place in sorted(parent):
        members[top(place)].append(place)
    return [cluster for cluster in members.values() if len(cluster) > 1]


def scarce(draws: Sequence[Draw], clusters: Sequence[Sequence[Place]]) -> dict[tuple[int, int], int]:
    """The classes that have enough images for each split, but not enough clusters; and the number of these."""
    inside = {place for cluster in clusters for place in cluster}
    images: Counter[tuple[int, int]] = Counter()
    units: Counter[tuple[int, int]] = Counter()
    for number, one in enumerate(draws):
        images.update((number, stratum) for stratum in one.strata.values())
        units.update((number, stratum) for place, stratum in one.strata.items() if (number, place) not in inside)
    for cluster in clusters:
        units.update({(set, draws[set].strata[place]) for set, place in cluster if place in draws[set].strata})
    needed = [1 + sum(fraction > 0 for fraction in one.fractions) for one in draws]
    return {key: units[key] for key, count in images.items() if count >= needed[key[0]] > units[key]}
