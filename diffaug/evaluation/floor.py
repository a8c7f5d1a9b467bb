"""Models that have learned too little for a comparison to mean anything."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from diffaug.dataset.records import ImageSet
from diffaug.evaluation.comparison import Measured, level
from diffaug.evaluation.metrics import ARMS

_FLOOR = 0.05  # of the way from knowing nothing to being always right


def majority(test: ImageSet) -> float:
    """The accuracy of always answering the most frequent class of the test images, 0-1."""
    return max(Counter(record.label for record in test).values()) / len(test)


def too_weak(
    task: str, measured: Mapping[str, Sequence[Measured]], test: ImageSet, confidence: float, primary: str
) -> str | None:
    """Why the better arm is too weak, in words; None if it is not. measured: by arm, one per seed; primary: the metric
    by which a classifier is judged."""
    name = primary if task == "cls" else "mAP50"
    means = {arm: float(np.mean([one.points[name] for one in measured[arm]])) for arm in ARMS}
    both = f"real {100 * means['real']:.1f}, merged {100 * means['merged']:.1f}"
    if task == "det":
        if max(means.values()) >= _FLOOR:
            return None
        return f"neither arm's detectors reach {100 * _FLOOR:g} points of mAP50 ({both})"
    guess = majority(test) if name == "accuracy" else 1 / len({record.label for record in test})
    best = max(ARMS, key=lambda arm: means[arm])
    enough = means[best] >= guess + _FLOOR * (1 - guess)
    if enough and level(measured[best], name, confidence).low > guess:
        return None
    better = "neither arm's classifiers are clearly better than"
    if name == "accuracy":
        return f"{better} always answering the most frequent class, which is right in {100 * guess:.1f} % ({both})"
    # No answer that ignores the image has a higher macro F1 than this one: 1 / classes.
    return f"{better} random answers as frequent as the classes, whose macro F1 is {100 * guess:.1f} ({both})"
