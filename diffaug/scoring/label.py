"""The intended class according to the control classifier, which was trained without synthetic images."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from diffaug.classifier.network import load_classifier
from diffaug.classifier.predicting import predict_logits, to_tensors
from diffaug.params.filter import Label
from diffaug.scoring.material import Columns, Material

MEASURED_BY: tuple[str, ...] = ()


def measure(material: Material, params: Label) -> Columns:
    """label_probability (0 to 1) and label_rank (1: the classifier's first choice) of the intended class, and
    label_seen: the class that the classifier predicts."""
    columns: Columns = {"label_probability": [], "label_rank": [], "label_seen": []}
    if not len(material.generated):
        return columns
    model, facts = load_classifier(material.control, material.device)
    tensors = to_tensors(material.generated, facts["image_size"], material.device)
    probabilities = predict_logits(model, tensors.images).softmax(dim=1)
    intended, ranks = agreement(probabilities, tensors.labels)
    columns["label_probability"] = intended.tolist()
    columns["label_rank"] = ranks.tolist()
    columns["label_seen"] = [material.names[label] for label in probabilities.argmax(dim=1).tolist()]
    return columns


def failures(row: Mapping[str, Any], params: Label) -> Iterator[tuple[str, bool]]:
    """The checks of the image, from its row of the ledger: reason, and whether it fails."""
    doubted = row["label_probability"] < params.min_probability
    yield "label doubted", doubted or (params.max_rank is not None and row["label_rank"] > params.max_rank)
    yield "too easy", params.max_probability is not None and row["label_probability"] > params.max_probability


def agreement(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The probability (N,) of each image's label (N,) in (N, C), and its rank (N,): 1 + the classes above it."""
    intended = probabilities.gather(1, labels[:, None])
    return intended[:, 0], 1 + (probabilities > intended).sum(dim=1)
