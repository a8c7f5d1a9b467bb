from dataclasses import asdict
from pathlib import Path

import pytest

from diffaug.dataset.records import ImageSet, make_record, read_set, write_set
from diffaug.training.treatment import TREATMENT, Treatment, treatment_of, weights

REAL = [make_record(f"r{n}", b"", "train", label=0) for n in range(3)]
MADE = [
    make_record(f"s{n}", b"", "train", label=0, origin="synthetic", source_id=source, added_by="synthetic")
    for n, source in enumerate(("r0", "r0", "r1"))
]


def test_without_a_wish_all_are_alike() -> None:
    assert weights([*REAL, *MADE], Treatment()) is None
    assert weights([*REAL, *MADE], Treatment("synthetic", 3)) is None


def test_synthetic_images_may_count_less() -> None:
    assert weights([*REAL, *MADE], Treatment("synthetic", 3, synthetic_weight=0.5)) == [1, 1, 1, 0.5, 0.5, 0.5]


def test_what_was_added_counts_less_whatever_it_is() -> None:
    more = [make_record(id, b"", "train", label=0, added_by="duplicate") for id in ("again-000/r0", "pool/p0")]
    assert weights([*REAL, *more], Treatment("duplicate", 2, synthetic_weight=0.5)) == [1, 1, 1, 0.5, 0.5]
    assert weights(REAL, Treatment("classic", 0, synthetic_weight=0.5)) is None  # nothing was added
    assert weights(REAL, Treatment("synthetic", 0, replace=0.5)) is None


def test_a_real_image_gives_way_to_its_own_variants() -> None:
    """With probability 0.4: r0 has two variants, r1 one, r2 none; each photograph keeps its share of a third."""
    found = weights([*REAL, *MADE], Treatment("synthetic", 3, replace=0.4))
    assert found == pytest.approx([0.6, 0.6, 1.0, 0.2, 0.2, 0.4])
    assert sum(found or ()) == pytest.approx(3.0)


def test_a_class_that_is_named_like_an_addition_is_not_added() -> None:
    """A user's folder named "pool" gives ids such as pool/1.png."""
    own = [make_record("pool/1.png", b"", "train", label=0), make_record("again-1/2.png", b"", "train", label=1)]
    assert weights([*own, MADE[0]], Treatment("synthetic", 1, synthetic_weight=0.5)) == [1, 1, 0.5]


def test_a_set_says_its_treatment(tmp_path: Path) -> None:
    assert treatment_of(ImageSet((), ())) == Treatment()  # real images store no treatment
    treatment = Treatment("classic", 0, classic=True)
    write_set(tmp_path, ("a",), REAL, about={TREATMENT: asdict(treatment)})
    assert treatment_of(read_set(tmp_path)) == treatment
