"""Copies and mode collapse, measured by a network: the cosine distance of features."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from diffaug.dataset.records import Record
from diffaug.params.filter import Embedding
from diffaug.scoring.material import Columns, Material
from diffaug.scoring.neighbours import (
    NEAREST,
    Measure,
    cosine,
    measure_neighbours,
    measure_real_neighbours,
    neighbour_failures,
)
from diffaug.scoring.networks import open_network

MEASURED_BY = ("network",)
_FAR = 2.0
AUTO = {"min_heldout": _FAR}


def measure(material: Material, params: Embedding) -> Columns:
    """embedding_*: 0 (the same) to 2, to the nearest image, mirrored or not."""
    if not len(material.generated):
        return {f"embedding{kind}_{group}": [] for kind in ("", "_nearest") for group in NEAREST}
    return measure_neighbours(material, _between(material, params))


def measure_real(material: Material, params: Embedding) -> Columns:
    """What real train images have of the thresholds that can be `auto`."""
    if not len(material.generated):
        return {"min_heldout": []}
    return measure_real_neighbours(material, _between(material, params))


def _between(material: Material, params: Embedding) -> Measure:
    network = open_network(params.network, material, f"filter.{material.task}.embedding.network")

    def signatures(records: Sequence[Record]) -> np.ndarray:
        return _normed(network(records))

    def views(records: Sequence[Record]) -> Iterator[np.ndarray]:
        yield from np.stack([signatures(records), _normed(network(records, mirror=True))], axis=1)

    return Measure("embedding", signatures, views, cosine, _FAR)


def failures(row: Mapping[str, Any], params: Embedding) -> Iterator[tuple[str, bool]]:
    """The checks of the image, from its row of the ledger: reason, and whether it fails."""
    return neighbour_failures(row, params, "embedding", "lookalike")


def _normed(features: np.ndarray) -> np.ndarray:
    features = features.reshape(len(features), -1)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
