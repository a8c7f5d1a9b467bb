from collections import Counter
from itertools import islice

import pytest

from diffaug.training.order import endless


def test_every_image_comes_once_a_round() -> None:
    found = list(islice(endless(5, 0), 15))
    rounds = [found[start : start + 5] for start in (0, 5, 10)]
    assert all(sorted(one) == list(range(5)) for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1
    assert found == list(islice(endless(5, 0), 15)) != list(islice(endless(5, 1), 15))


def test_weights_say_how_often() -> None:
    counts = Counter(islice(endless(3, 0, [1.0, 3.0, 0.0]), 4000))
    assert counts[2] == 0
    assert counts[1] / counts[0] == pytest.approx(3.0, rel=0.15)
