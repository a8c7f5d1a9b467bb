"""Copies and mode collapse, measured by a network: the cosine distance of features."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from diffaug.dataset.records import Record
from diffaug.params.filter import Embedding
from diffaug.scoring.material import Columns, Material
from diffaug.scoring.neighbours import NEAREST, Measure, measure_neighbours, neighbour_failures
from diffaug.scoring.networks import open_network

MEASURED_BY = ("network",)
_FAR = 2.0


def measure(material: Material, params: Embedding) -> Columns:
    """embedding_*: 0 (the same) to 2, to the nearest image, mirrored or not."""
    if not len(material.generated):
        return {f"embedding{kind}_{group}": [] for kind in ("", "_nearest") for group in NEAREST}
    network = open_network(params.network, material, f"filter.{material.task}.embedding.network")

    def signatures(records: Sequence[Record]) -> np.ndarray:
        return _normed(network(records))

    def views(records: Sequence[Record]) -> Iterator[np.ndarray]:
        yield from np.stack([signatures(records), _normed(network(records, mirror=True))], axis=1)

    return measure_neighbours(material, Measure("embedding", signatures, views, _cosine, _FAR))


def failures(row: Mapping[str, Any], params: Embedding) -> Iterator[tuple[str, bool]]:
    """The checks of the image, from its row of the ledger: reason, and whether it fails."""
    return neighbour_failures(row, params, "embedding", "lookalike")


def _normed(features: np.ndarray) -> np.ndarray:
    features = features.reshape(len(features), -1)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _cosine(views: np.ndarray, among: np.ndarray) -> np.ndarray:
    return np.maximum(1 - (views @ among.T).max(axis=0), 0.0) if len(among) else np.zeros(0)
