from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from diffaug.dataset.records import make_record
from diffaug.training.order import endless
from diffaug.training.treatment import Treatment, read_treatment, weights, write_treatment

REAL = [make_record(f"r{n}", b"", "train", label=0) for n in range(3)]
MADE = [
    make_record(f"s{n}", b"", "train", label=0, origin="synthetic", source_id=source)
    for n, source in enumerate(("r0", "r0", "r1"))
]


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


def test_without_a_wish_all_are_alike() -> None:
    assert weights([*REAL, *MADE], Treatment()) is None
    assert weights([*REAL, *MADE], Treatment("synthetic", 3)) is None


def test_synthetic_images_may_count_less() -> None:
    assert weights([*REAL, *MADE], Treatment("synthetic", 3, synthetic_weight=0.5)) == [1, 1, 1, 0.5, 0.5, 0.5]


def test_what_was_added_counts_less_whatever_it_is() -> None:
    more = [make_record(id, b"", "train", label=0) for id in ("again-000/r0", "pool/p0")]
    assert weights([*REAL, *more], Treatment("duplicate", 2, synthetic_weight=0.5)) == [1, 1, 1, 0.5, 0.5]
    assert weights(REAL, Treatment("classic", 0, synthetic_weight=0.5)) is None  # nothing was added
    assert weights(REAL, Treatment("synthetic", 0, replace=0.5)) is None


def test_a_real_image_gives_way_to_its_own_variants() -> None:
    """With probability 0.4: r0 has two variants, r1 one, r2 none; each photograph keeps its share of a third."""
    found = weights([*REAL, *MADE], Treatment("synthetic", 3, replace=0.4))
    assert found == pytest.approx([0.6, 0.6, 1.0, 0.2, 0.2, 0.4])
    assert sum(found or ()) == pytest.approx(3.0)


def test_a_treatment_stands_beside_its_images(tmp_path: Path) -> None:
    assert read_treatment(tmp_path) == Treatment()  # real images have none
    write_treatment(tmp_path, Treatment("classic", 0, classic=True))
    assert read_treatment(tmp_path) == Treatment("classic", 0, classic=True)
