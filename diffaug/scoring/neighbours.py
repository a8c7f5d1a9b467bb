"""The nearest real and synthetic images, by any distance measure: copies of train, leaks of test, mode collapse."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffaug.dataset.records import Record
from diffaug.params.filter import Neighbours
from diffaug.scoring.material import Columns, Material

NEAREST = ("train", "heldout", "generated")


@dataclass(frozen=True)
class Measure:
    """A way of comparing images.

    signatures: of these images, (N, D). views: for each image, its signatures (V, D) under the changes that a copy may
    have (mirrored, shifted), the unchanged image first. distances: from views (V, D) to signatures (N, D), the minimum
    over the views, (N,). far: the distance if there is nothing to compare with.
    """

    name: str
    signatures: Callable[[Sequence[Record]], np.ndarray]
    views: Callable[[Sequence[Record]], Iterator[np.ndarray]]
    distances: Callable[[np.ndarray, np.ndarray], np.ndarray]
    far: float


def measure_neighbours(material: Material, measure: Measure) -> Columns:
    """NAME_train, NAME_heldout (val and test) and NAME_generated: distances to the nearest image, and NAME_nearest_*:
    its id.

    Among synthetic images only earlier ones count, unchanged, so that the first of two similar images stays. A scene is
    its photograph except for the redrawn parts: neither the photograph nor other scenes made from it count.
    """
    generated = material.generated.records
    groups = {"train": material.real["train"].records, "heldout": material.heldout}
    known = {group: measure.signatures(records) for group, records in groups.items()}
    ids = {group: [record.id for record in records] for group, records in groups.items()}
    places = {group: {id: place for place, id in enumerate(of_group)} for group, of_group in ids.items()}
    own, own_ids = measure.signatures(generated), [record.id for record in generated]
    sources = np.array([record.source_id or "" for record in generated])
    columns: Columns = {f"{measure.name}{kind}_{group}": [] for kind in ("", "_nearest") for group in NEAREST}
    views = measure.views(list(material.progress(measure.name)))
    for index, (record, seen) in enumerate(zip(generated, views)):
        found = {}
        for group, signatures in known.items():
            distances = measure.distances(seen, signatures)
            if material.task == "det" and record.source_id in places[group]:
                distances[places[group][record.source_id]] = measure.far
            found[group] = _closest(distances, ids[group], measure.far)
        earlier = measure.distances(seen[:1], own[:index])
        if material.task == "det":
            earlier[sources[:index] == sources[index]] = measure.far
        found["generated"] = _closest(earlier, own_ids, measure.far)
        for group, (distance, id) in found.items():
            columns[f"{measure.name}_{group}"].append(distance)
            columns[f"{measure.name}_nearest_{group}"].append(id)
    return columns


def nearest(measure: Measure, images: Sequence[Record], others: Sequence[Record]) -> np.ndarray:
    """(N,): the distance of each image to the nearest of the others; `far` without others."""
    signatures = measure.signatures(others)
    return np.array([measure.distances(seen, signatures).min(initial=measure.far) for seen in measure.views(images)])


def measure_real_neighbours(material: Material, measure: Measure) -> Columns:
    """How near real train images are to val and test, which no threshold can tell from copies."""
    return {"min_heldout": nearest(measure, material.train_sample, material.heldout).tolist()}


def cosine(views: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The distances of a `Measure` whose signatures have length 1: 1 - cosine."""
    return np.maximum(1 - (views @ among.T).max(axis=0), 0.0) if len(among) else np.zeros(0)


def neighbour_failures(row: Mapping[str, Any], params: Neighbours, name: str, what: str) -> Iterator[tuple[str, bool]]:
    """The checks of the image; `what`: the reason if it is too near, such as "copy"."""
    yield f"{what} of train", row[f"{name}_train"] < params.min_train
    yield f"{what} of val or test", row[f"{name}_heldout"] < params.min_heldout
    yield f"{what} of synthetic", row[f"{name}_generated"] < params.min_generated


def _closest(distances: np.ndarray, ids: Sequence[str], far: float) -> tuple[float, str]:
    if not len(distances) or distances.min() >= far:
        return far, ""
    closest = int(distances.argmin())
    return distances[closest].item(), ids[closest]
