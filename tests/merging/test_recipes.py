"""What each recipe adds: the same number for the same ratio, and only allowed images."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.provenance import Provenance
from diffaug.dataset.records import ImageSet, Record, make_record
from diffaug.merging.recipes import RECIPES, Ingredients
from diffaug.params.merge import MergeParams, Recipe
from diffaug.runtime.errors import UserError

NAMES = ("cat", "dog", "bird")


def image(number: int) -> bytes:
    return encode_png(Image.new("L", (8, 8), number))


REAL = ImageSet(NAMES, tuple(make_record(f"r{n}", image(n), "train", label=n % 3) for n in range(6)))
MADE = ImageSet(
    NAMES,
    tuple(
        make_record(
            f"s{n}", image(50 + n), "train", label=n % 3, origin="synthetic", source_id=f"r{n % 3}" if n % 2 else None
        )
        for n in range(24)
    ),
)
ACCEPTED = {f"s{n}" for n in range(12)}
POOL = ImageSet(NAMES, tuple(make_record(f"p{n}", image(100 + n), "train", label=n % 3) for n in range(15)))


def params(**changes: Any) -> MergeParams:
    values = {"recipe": "synthetic", "ratio": 2.0, "mix": "concat", "synthetic_weight": 1.0, "seed": 0}
    rest = {"target": None, "on_shortage": "fail", "replace_probability": 0.5}
    return MergeParams.model_validate(values | rest | changes)


def additions(
    real: ImageSet, made: ImageSet, accepted: set[str], pool: ImageSet, given: MergeParams, task: str
) -> list[Record] | None:
    ingredients = Ingredients(task, real, made, accepted, pool, given, rebuild)
    choice = RECIPES[given.recipe].additions(ingredients)
    return None if choice is None else list(choice.records)


def added(recipe: str, **changes: Any) -> list[Record]:
    found = additions(REAL, MADE, ACCEPTED, POOL, params(recipe=recipe, **changes), "cls")
    assert found is not None
    return found


def rebuild(records: Sequence[Record]) -> tuple[list[bytes], Provenance]:
    return [image(200 + index) for index in range(len(records))], Provenance(model="m", licence="cc-by-nc-4.0")


@pytest.mark.parametrize(
    "recipe", ["synthetic", "unfiltered", "duplicate", "vae_roundtrip", "shuffled_labels", "real_more"]
)
def test_the_ratio_holds_in_every_class(recipe: str) -> None:
    found = added(recipe)
    if recipe != "shuffled_labels":
        assert Counter(record.label for record in found) == {0: 4, 1: 4, 2: 4}
    assert len(found) == 12
    assert len({record.id for record in [*REAL, *found]}) == 18
    assert {record.split for record in found} == {"train"}
    assert found == added(recipe)
    assert len(added(recipe, ratio=0.0)) == 0


def test_the_filter_counts_for_synthetic_and_not_for_unfiltered() -> None:
    assert {record.id for record in added("synthetic")} == ACCEPTED
    assert {record.id for record in added("unfiltered")} - ACCEPTED


def test_duplicates_are_the_real_images_each_equally_often() -> None:
    found = added("duplicate")
    assert Counter(record.sha256 for record in found) == {record.sha256: 2 for record in REAL}
    assert {record.origin for record in found} == {"real"}
    assert len(added("duplicate", ratio=0.5)) == 3


def test_round_trips_are_synthetic_and_know_their_source() -> None:
    labels = {record.id: record.label for record in REAL}
    for record in added("vae_roundtrip"):
        assert (record.origin, record.mode) == ("synthetic", "vae_roundtrip")
        assert (record.model, record.licence) == ("m", "cc-by-nc-4.0")  # its limits are said in the verdict
        assert labels[record.source_id or ""] == record.label
        assert record.image not in {one.image for one in REAL}


def test_no_label_is_right_where_labels_are_shuffled() -> None:
    right = {record.id: record.label for record in MADE}
    found = added("shuffled_labels")
    assert {record.id for record in found} == ACCEPTED
    assert all(record.label != right[record.id] for record in found)
    assert len({record.label for record in found}) == 3


def test_boxes_get_wrong_classes_too() -> None:
    box = (1.0, 1.0, 4.0, 4.0)
    real = ImageSet(NAMES, (make_record("r", image(1), "train", bbox=(box,), category=(0,)),))
    made = [
        make_record(f"s{n}", image(n), "train", bbox=(box, box), category=(0, 1), origin="synthetic") for n in range(4)
    ]
    settings = params(recipe="shuffled_labels", ratio=4.0)
    found = additions(real, ImageSet(NAMES, tuple(made)), {"s0", "s1", "s2", "s3"}, POOL, settings, "det")
    assert found is not None and len(found) == 4
    assert all(record.category[0] != 0 and record.category[1] != 1 for record in found)


def test_further_real_images_come_from_the_pool() -> None:
    found = added("real_more")
    assert {record.origin for record in found} == {"real"}
    assert {record.sha256 for record in found} <= {record.sha256 for record in POOL}
    few, many = ({record.id for record in added("real_more", ratio=ratio)} for ratio in (1.0, 2.0))
    assert few < many
    with pytest.raises(UserError, match=r"needs more real images than the pool has \(cat: 6 wanted, 5 there"):
        added("real_more", ratio=3.0)


def test_a_task_without_a_pool_gets_nothing() -> None:
    scene = ImageSet(NAMES, (make_record("r", image(1), "train", bbox=((1.0, 1.0, 4.0, 4.0),), category=(0,)),))
    assert additions(scene, ImageSet((), ()), set(), POOL, params(recipe="real_more"), "det") is None


def test_classic_changes_no_image() -> None:
    assert added("classic") == []


def test_only_variants_of_real_images_replace_them() -> None:
    found = added("synthetic", mix="replace", ratio=1.0)
    assert all(record.source_id for record in found)
    with pytest.raises(UserError, match="needs more synthetic images than were accepted"):
        added("synthetic", mix="replace", ratio=2.0)


def test_params_and_recipes_name_the_same() -> None:
    assert set(RECIPES) == set(get_args(Recipe))
