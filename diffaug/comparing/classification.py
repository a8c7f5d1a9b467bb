"""A classifier's accuracy, macro F1 and calibration, and the accuracy of each class, on the test set and resampled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from diffaug.comparing.lines import Line
from diffaug.comparing.probabilities import LABEL, Answers, read_answers, read_test, row_of
from diffaug.evaluation.classification import (
    ClsPredictions,
    per_class_accuracy,
    resample_classification,
    score_classification,
)
from diffaug.evaluation.comparison import Measured
from diffaug.runtime.errors import UserError

_TITLES = {"accuracy": "accuracy", "macro_f1": "macro F1", "ece": "ECE (lower is better)"}


@dataclass(frozen=True)
class TrueClasses:
    """The classes, and the true class of each image by its id, as the file `source` gives them."""

    names: Sequence[str]
    labels: Mapping[str, str] = field(repr=False)
    source: Path


def read_true_classes(first: Path, truth: Path | None, names: Sequence[str] | None) -> TrueClasses:
    """The test images, from the table `truth` or else from the labels in the first table of probabilities, whose
    columns are the classes. Raises UserError if neither has labels, or if one is not a class."""
    answers = read_answers(first, names)
    source, labels = first, dict(zip(answers.ids, answers.labels or []))
    if truth:
        source, labels = truth, read_test(truth, names)
    elif answers.labels is None:
        raise UserError(
            f"{first}: has no column {LABEL}; add the true class, or give --truth, a table of id and {LABEL}"
        )
    for one, label in labels.items():
        if label not in answers.names:
            raise UserError(
                f"{source}: the label of {one!r} is {label!r}, and {first} has no such column; name the columns of the "
                "classes as the labels"
            )
    return TrueClasses(answers.names, dict(sorted(labels.items())), source)


def cls_lines(test: TrueClasses) -> list[Line]:
    """The metrics; those of classes without an image are left out."""
    images = Counter(test.labels.values())
    lines = [Line(title, len(test.labels)) for title in _TITLES.values()]
    return [*lines, *(Line(_of_class(name), images[name], name) for name in test.names if images[name])]


def _of_class(name: str) -> str:
    return f"accuracy of {name}"


def measure_classifier(path: Path, test: TrueClasses, names: Sequence[str] | None, weights: np.ndarray) -> Measured:
    """Every metric of `cls_lines` for one model's table; `weights` (R, N): how often each resample drew each image.

    Raises UserError if the table has other images, classes or labels than the test.
    """
    probabilities = _aligned(read_answers(path, names), test)
    places = {name: place for place, name in enumerate(test.names)}
    labels = torch.tensor([places[label] for label in test.labels.values()])
    run = ClsPredictions(torch.from_numpy(probabilities), labels)
    points, resampled = score_classification(run), resample_classification(run, weights)
    own = zip(map(_of_class, test.names), per_class_accuracy(run).tolist(), _resample_classes(run, weights))
    classes = [(title, point, values) for title, point, values in own]
    return Measured(
        {title: points[name] for name, title in _TITLES.items()} | {title: point for title, point, _ in classes},
        {title: resampled[name] for name, title in _TITLES.items()} | {title: values for title, _, values in classes},
    )


def _resample_classes(run: ClsPredictions, weights: np.ndarray) -> np.ndarray:
    """The accuracy of each class in every resample, (C, R); NaN where a resample has no image of the class."""
    images = np.arange(len(run.labels))
    shape = (run.probabilities.shape[1], len(images))
    of_class = sparse.csr_array((np.ones(len(images)), (run.labels.numpy(), images)), shape=shape)
    right = sparse.csr_array((run.hits.astype(float), (run.labels.numpy(), images)), shape=shape)
    with np.errstate(invalid="ignore"):
        return (right @ weights.T) / (of_class @ weights.T)


def _aligned(answers: Answers, test: TrueClasses) -> np.ndarray:
    """The probabilities (N, C) in the order of the test's images and classes."""
    path = answers.path
    if odd := sorted(set(answers.names) ^ set(test.names)):
        raise UserError(f"{path}: other classes than the first file of A: only one of them has {odd[0]!r}")
    places = {one: place for place, one in enumerate(answers.ids)}
    missing = [one for one in test.labels if one not in places]
    if missing:
        raise UserError(
            f"{path}: has no row for {missing[0]!r}, which is in {test.source}; in all {len(missing)} are missing"
        )
    for place, one in enumerate(answers.ids):
        if one not in test.labels:
            raise UserError(f"{row_of(path, place)}: {one!r} is not in {test.source}; compare on the same images")
        if answers.labels and answers.labels[place] != test.labels[one]:
            raise UserError(
                f"{row_of(path, place)} ({one!r}): the label is {answers.labels[place]!r}, in {test.source} it is "
                f"{test.labels[one]!r}; correct one of them"
            )
    columns = [answers.names.index(name) for name in test.names]
    return answers.probabilities[[places[one] for one in test.labels]][:, columns]
