"""Models that have learned too little for a verdict."""

import numpy as np
import pytest
from sets import noise, real

from diffaug.dataset.records import ImageSet
from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.floor import majority, too_weak

TEST = ImageSet(("cat", "dog"), tuple(real(str(n), noise(n), "test", int(n >= 6)) for n in range(10)))  # 6 cats, 4 dogs
PRIMARY = "accuracy"


def models(name: str, *points: float, spread: float = 0.01) -> list[Measured]:
    noise_of = np.random.default_rng(0).normal(0, spread, 200)
    return [Measured({name: point}, {name: point + noise_of}) for point in points]


def test_the_majority_class() -> None:
    assert majority(TEST) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("accuracy", "spread", "weak"),
    [
        (0.60, 0.01, True),  # no better than always "cat"
        (0.61, 0.001, True),  # surely better, but by less than a twentieth of the way to 1
        (0.63, 0.02, True),  # better, but its interval reaches down to 0.6
        (0.63, 0.01, False),
        (0.9, 0.02, False),
    ],
)
def test_a_classifier_near_chance(accuracy: float, spread: float, weak: bool) -> None:
    better = models("accuracy", accuracy, accuracy, spread=spread)
    for arms in ({"real": better, "merged": models("accuracy", 0.3, 0.3)}, {"real": better, "merged": better}):
        said = too_weak("cls", arms, TEST, 0.95, PRIMARY)
        assert (said is not None) == weak
        assert said is None or "right in 60.0 %" in said


def test_a_detector_that_finds_nearly_nothing() -> None:
    low, enough = models("mAP50", 0.049, 0.049), models("mAP50", 0.05, 0.06)
    said = too_weak("det", {"real": low, "merged": low}, TEST, 0.95, PRIMARY)
    assert said == "neither arm's detectors reach 5 points of mAP50 (real 4.9, merged 4.9)"
    assert too_weak("det", {"real": low, "merged": enough}, TEST, 0.95, PRIMARY) is None


def test_with_macro_f1_a_rare_class_that_is_found_counts_though_accuracy_is_that_of_the_frequent_one() -> None:
    """Of 90 cats and 10 dogs each arm finds 81 and 8: 89 are right, fewer than of always "cat"; macro F1 is 0.76."""
    rare = ImageSet(TEST.names, tuple(real(str(n), noise(0), "test", int(n >= 90)) for n in range(100)))
    found = [
        Measured(one.points | other.points, one.resampled | other.resampled)
        for one, other in zip(models("accuracy", 0.89, 0.89), models("macro_f1", 0.76, 0.76))
    ]
    arms = {"real": found, "merged": found}
    assert "right in 90.0 %" in str(too_weak("cls", arms, rare, 0.95, "accuracy"))
    assert too_weak("cls", arms, rare, 0.95, "macro_f1") is None
    guessing = models("macro_f1", 0.51, 0.51)
    said = too_weak("cls", {"real": guessing, "merged": guessing}, rare, 0.95, "macro_f1")
    assert said and said.endswith("whose macro F1 is 50.0 (real 51.0, merged 51.0)")
