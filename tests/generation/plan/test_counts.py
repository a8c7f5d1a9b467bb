"""How many images are drawn of each class: classes of 20, 100 and 400 images."""

import pytest
from PIL import Image
from settings import modes, params

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record
from diffaug.generation.plan.counts import per_class
from diffaug.generation.plan.images import plan_cls
from diffaug.params.generate import ClsGeneration
from diffaug.runtime.errors import UserError
from diffaug.segmenting.objects import Objects

REAL = {"rare": 20, "some": 100, "many": 400}
PIXEL = encode_png(Image.new("L", (1, 1)))


def generation(asked: object, oversample: float | None = None) -> ClsGeneration:
    return ClsGeneration.model_validate(
        {"per_class": asked, "oversample": oversample, "modes": {"txt2img": {"weight": 1}}}
    )


def test_a_number_a_mapping_or_what_each_class_lacks() -> None:
    assert per_class(generation(40), REAL) == {"rare": 40, "some": 40, "many": 40}
    assert per_class(generation(40, 1.5), REAL) == {"rare": 60, "some": 60, "many": 60}
    assert per_class(generation({"many": 0, "rare": 9, "some": 3}), REAL) == {"rare": 9, "some": 3, "many": 0}
    assert per_class(generation("balance"), REAL) == {"rare": 380, "some": 300, "many": 0}


@pytest.mark.parametrize(
    ("asked", "found"), [({"rare": 1, "some": 1}, "many is missing"), (REAL | {"cat": 1}, r"per_class\.cat: .*no such")]
)
def test_a_mapping_that_does_not_fit_the_classes(asked: object, found: str) -> None:
    with pytest.raises(UserError, match=found):
        per_class(generation(asked), REAL)


def test_the_plan_has_these_numbers_and_the_images_of_equal_counts() -> None:
    """A class with fewer images has the first ones of a plan with equal counts, so that an edit draws nothing again."""
    labels = [0] * 2 + [1] * 4 + [2] * 6
    records = tuple(make_record(f"r{n:02d}", PIXEL, "train", label=label) for n, label in enumerate(labels))
    train = ImageSet(("rare", "some", "many"), records)
    two = modes(txt2img={}, img2img={"strength": 0.6})
    equal = plan_cls(params(cls=two | {"per_class": 4}), train, Objects())
    jobs = plan_cls(params(cls=two | {"per_class": "balance"}), train, Objects())
    assert [sum(job.label == label for job in jobs) for label in range(3)] == [4, 2, 0]
    assert set(jobs) < set(equal)
