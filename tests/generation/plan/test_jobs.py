from class_plan import settings, train

from diffaug.generation.plan.formats import common_format
from diffaug.generation.plan.images import plan_cls
from diffaug.generation.plan.jobs import batches
from diffaug.generation.plan.settings import shares
from diffaug.segmenting.objects import Objects


def test_weights_are_shares_that_only_grow() -> None:
    weights = {"txt2img": 2.0, "img2img": 1.0, "inpaint": 1.0}
    assert shares(8, weights) == {"txt2img": 4, "img2img": 2, "inpaint": 2}
    for total in range(30):
        few, many = shares(total, weights), shares(total + 1, weights)
        assert sum(few.values()) == total
        assert all(many[name] >= few[name] for name in weights)


def test_batches_are_fixed_ranges_of_one_class_and_mode() -> None:
    few, many = (batches(plan_cls(settings(count, count), train(), Objects()), 3) for count in (4, 6))
    assert all(len({(job.settings, job.label) for job in batch}) == 1 for batch in many)
    assert sorted(len(batch) for batch in few) == [1] * 6 + [3] * 6
    assert all(batch in many for batch in few if len(batch) == 3)


def test_another_prompt_for_one_class_leaves_the_others_batches_alone() -> None:
    before = batches(plan_cls(settings(), train(), Objects()), 3)
    after = batches(plan_cls(settings(classes={"dog": {"prompt": "a barking {class}"}}), train(), Objects()), 3)
    changed = [batch for batch in after if batch not in before]
    assert {job.label for batch in changed for job in batch} == {1}
    assert {job.seed for batch in changed for job in batch} == {
        job.seed for batch in before for job in batch if job.label == 1
    }


def test_common_format() -> None:
    assert common_format(train()) == ((20, 10), "L")
