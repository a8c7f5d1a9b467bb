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


def params(ratio: float) -> MergeParams:
    values = {"recipe": "synthetic", "ratio": ratio, "mix": "concat", "synthetic_weight": 1.0, "seed": 0}
    return MergeParams.model_validate(values | {"replace_probability": 0.5})


def ids(ratio: float, accepted: set[str] = ALL) -> set[str]:
    return {record.id for record in choose(REAL, MADE, accepted, params(ratio), "cls")}


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
    assert len(choose(real, made, ALL, params(1.5), "det")) == 9


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
