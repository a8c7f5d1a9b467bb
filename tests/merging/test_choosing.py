import dataclasses
import hashlib

import numpy as np
import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, Record, make_record
from diffaug.merging.choosing import choose
from diffaug.merging.painting import paint_over
from diffaug.params.merge import MergeParams
from diffaug.runtime.errors import UserError

PIXEL = encode_png(Image.new("L", (1, 1)))
NAMES = ("cat", "dog")
REAL = ImageSet(NAMES, tuple(make_record(f"r{index}", PIXEL, "train", label=int(index < 2)) for index in range(6)))


def synthetic(id: str, label: int | None, **columns: object) -> Record:
    return make_record(id, PIXEL, "train", **({"label": label, "origin": "synthetic"} | columns))


MADE = ImageSet(NAMES, tuple(synthetic(f"s{index:02d}", index % 2) for index in range(20)))
ALL = {record.id for record in MADE}


def params(ratio: float | None, **changes: object) -> MergeParams:
    values = {"recipe": "synthetic", "ratio": ratio, "mix": "concat", "synthetic_weight": 1.0, "seed": 0}
    rest = {"target": None, "on_shortage": "fail", "replace_probability": 0.5}
    return MergeParams.model_validate(values | rest | changes)


def ids(ratio: float, accepted: set[str] = ALL) -> set[str]:
    return {record.id for record in choose(REAL, MADE, accepted, params(ratio), "cls").records}


def test_each_class_gets_its_share() -> None:
    for ratio, cats, dogs in [(0, 0, 0), (0.5, 2, 1), (1, 4, 2), (2, 8, 4)]:
        labels = [MADE.records[int(id[1:])].label for id in ids(ratio)]
        assert (labels.count(0), labels.count(1)) == (cats, dogs)


def test_more_adds_to_less_and_only_accepted_images_are_drawn() -> None:
    assert ids(0.5) < ids(1) < ids(2)
    accepted = {f"s{index:02d}" for index in range(4, 16)}
    assert ids(1, accepted) <= accepted


def test_too_few_fail_with_the_numbers() -> None:
    with pytest.raises(UserError, match=r"ratio 3 needs more .*\(cat: 12 wanted, 10 accepted of 10 made\); raise"):
        ids(3)
    with pytest.raises(UserError, match=r"dog: 2 wanted, 0 accepted of 10 made"):
        ids(1, {f"s{index:02d}" for index in range(0, 20, 2)})


def test_detection_draws_over_all_scenes() -> None:
    real = ImageSet(NAMES, tuple(dataclasses.replace(record, label=None) for record in REAL))
    made = ImageSet(NAMES, tuple(dataclasses.replace(record, label=None) for record in MADE))
    assert len(choose(real, made, ALL, params(1.5), "det").records) == 9


def test_rare_classes_are_filled_up() -> None:
    """Classes of 20, 100 and 400 images: to the largest, or to a number; none is made smaller."""
    counts = (20, 100, 400)
    names = ("rare", "some", "many")
    real = [make_record(f"r{c}-{n}", PIXEL, "train", label=c) for c, count in enumerate(counts) for n in range(count)]
    made = [synthetic(f"s{c}-{n}", c) for c in range(3) for n in range(400)]
    sets = ImageSet(names, tuple(real)), ImageSet(names, tuple(made))
    everything = {record.id for record in made}

    def added(target: object) -> list[int]:
        chosen = choose(*sets, everything, params(None, target=target), "cls").records
        return [sum(record.label == label for record in chosen) for label in range(3)]

    assert added("balance") == [380, 300, 0]
    assert added({"per_class": 200}) == [180, 100, 0]
    assert added({"per_class": 10}) == [0, 0, 0]


def scene(id: str, *category: int, **columns: object) -> Record:
    boxes = tuple((0.0, 0.0, 1.0, 1.0) for _ in category)
    return make_record(id, PIXEL, "train", bbox=boxes, category=category, **columns)


def test_for_detection_a_target_counts_boxes() -> None:
    """Cats lack four boxes: only scenes with a cat are added, until four are there; their dogs come along."""
    real = ImageSet(NAMES, (scene("a", 0, 1, 1), scene("b", 1, 1, 1)))
    made = ImageSet(
        NAMES,
        tuple(scene(f"s{n}", *boxes, origin="synthetic") for n, boxes in enumerate([(1,), (0, 0), (0, 1), (0,), (1,)])),
    )
    chosen = choose(real, made, {record.id for record in made}, params(None, target="balance"), "det").records
    assert {record.id for record in chosen} == {"s1", "s2", "s3"}
    with pytest.raises(
        UserError, match=r"merge\.target per_class 9 .*\(cat: 8 boxes wanted, 4 accepted of 4 made; dog"
    ):
        choose(real, made, {record.id for record in made}, params(None, target={"per_class": 9}), "det")


def test_on_shortage_lower_adds_what_there_is_and_says_what_is_missing() -> None:
    choice = choose(REAL, MADE, ALL, params(3, on_shortage="lower"), "cls")
    assert len(choice.records) == 10 + 6
    assert choice.short == ("cat: 12 wanted, 10 accepted of 10 made",)


@pytest.mark.parametrize(("ratio", "target", "found"), [(1.0, "balance", "ratio 1"), (None, None, "both are null")])
def test_ratio_and_target_are_alternatives(ratio: float | None, target: str | None, found: str) -> None:
    with pytest.raises(ValueError, match=rf"{found}.*give one of them"):
        params(ratio, target=target)


@pytest.mark.parametrize(
    "columns", [{"origin": "real"}, {"source_id": "of-test"}, {"split": "val"}], ids=["real", "foreign source", "val"]
)
def test_what_may_not_enter_train_stops_the_run(columns: dict) -> None:
    made = ImageSet(NAMES, (*MADE.records, dataclasses.replace(synthetic("z", 0, source_id="r0"), **columns)))
    with pytest.raises(UserError, match=r"z is .*only synthetic images made from train images may enter train"):
        choose(REAL, made, ALL, params(0), "cls")


def test_what_may_be_an_object_without_a_label_is_painted_over_but_no_label() -> None:
    scene = make_record(
        "s", encode_png(Image.new("RGB", (10, 8), (200, 10, 10))), "train", bbox=((2.0, 2.0, 3.0, 3.0),), category=(0,)
    )
    painted = paint_over(scene, [(4.0, 1.0, 4.0, 4.0)])
    grey = (np.asarray(painted.open()) == 114).all(axis=2)
    expected = np.zeros((8, 10), dtype=bool)
    expected[1:5, 4:8] = True
    expected[2:5, 4:5] = False
    assert np.array_equal(grey, expected)
    assert painted.sha256 == hashlib.sha256(painted.image).hexdigest() != scene.sha256
    assert dataclasses.replace(painted, image=scene.image, sha256=scene.sha256) == scene
    assert paint_over(scene, []) is scene
