"""Each training seed's own draw of synthetic images."""

import pytest
from class_plan import settings, train
from scene_plan import PASTE, PATCHES, REDRAW
from scene_plan import settings as scene_settings
from scene_plan import train as scenes

from diffaug.dataset.records import ImageSet
from diffaug.generation.plan.jobs import Plan, batches
from diffaug.generation.plan.plan import plan_for
from diffaug.params.generate import GenerateParams

NOTHING = ImageSet((), ())
DETECTION = {"img2img": REDRAW | {"patches": PATCHES}, "paste": PASTE}


def plans(draws: tuple[int | None, ...], **change: object) -> Plan:
    return plan_for(settings(4, 3, **change), train(), NOTHING, draws)


def test_another_draw_changes_nothing_in_the_others() -> None:
    alone, both = plans((0,)), plans((0, 7))
    assert [job for job in both.images if job.draw == 0] == list(alone.images)
    assert plans((7, 0)).images[: len(alone.images)] == tuple(job for job in both.images if job.draw == 7)


def test_draws_share_no_id_and_no_noise() -> None:
    jobs = plans((0, 1, 2)).images
    assert len({job.id for job in jobs}) == len({job.seed for job in jobs}) == len(jobs)
    assert jobs[0].id == "s0-txt2img-000000"
    sources = [[job.source_id for job in jobs if job.draw == draw] for draw in (0, 1, 2)]
    assert sources[0] == sources[1] == sources[2]  # every draw uses all real images


def test_a_draw_for_all_seeds_has_plain_ids() -> None:
    assert {job.draw for job in plans((None,)).images} == {None}
    assert plans((None,)).images[0].id == "txt2img-000000"


def test_no_batch_holds_images_of_two_draws() -> None:
    both = batches(plans((0, 1)).images, 3)
    assert all(len({job.draw for job in batch}) == 1 for batch in both)
    assert [batch for batch in both if batch[0].draw == 0] == batches(plans((0,)).images, 3)


@pytest.mark.parametrize("objects", ["generated", "train"])
def test_scenes_are_made_of_their_own_draws_parts_and_objects(objects: str) -> None:
    given: GenerateParams = scene_settings(4.0, **DETECTION | {"paste": PASTE | {"objects": objects}})
    plan = plan_for(given, NOTHING, scenes(), (0, 1))
    drawn = {job.id: job.draw for job in (*plan.items, *plan.parts)}
    for scene in plan.scenes:
        assert scene.id.startswith(f"s{scene.draw}-")
        assert all(drawn.get(item, scene.draw) == scene.draw for item in scene.items)
        assert all(item in drawn or "#" in item for item in scene.items)
    pasted = [[scene.items for scene in plan.scenes if (scene.draw, scene.mode) == (draw, "paste")] for draw in (0, 1)]
    assert pasted[0] != pasted[1]
