from collections import Counter
from collections.abc import Sequence

import pytest
from scene_plan import NAMES, PASTE, PATCHES, REDRAW, scene, settings, train

from diffaug.dataset.records import ImageSet
from diffaug.generation.plan.jobs import Job
from diffaug.generation.plan.objects import objects_to_paste
from diffaug.generation.plan.scenes import plan_items, plan_pasted, plan_redrawn
from diffaug.generation.plan.settings import shares
from diffaug.params.generate import GenerateParams
from diffaug.pictures.squares import apart
from diffaug.runtime.errors import UserError
from diffaug.segmenting.objects import Objects


def test_without_images_nothing_is_planned() -> None:
    given = settings(paste=PASTE, img2img=REDRAW)
    empty = ImageSet((), ())
    assert plan_items(given, (), "L") == []
    assert plan_pasted(given, empty, []) == []
    assert plan_redrawn(given, empty) == ([], [])


def test_whole_scenes_name_the_classes_in_them() -> None:
    jobs, scenes = plan_redrawn(settings(img2img=REDRAW), train())
    assert len(scenes) == len(jobs) == 8
    assert [one.source_id for one in scenes] == ["s0", "s1", "s2"] * 2 + ["s0", "s1"]  # no scene without an object
    assert [job.prompt for job in jobs[:2]] == ["a photo of a cat and dog", "a photo of a cat"]
    assert {(job.label, job.size, job.part and job.part.region) for job in jobs} == {(-1, (100, 60), (0, 0, 100, 60))}
    assert {(job.source_id, job.settings.strength) for job in jobs} == {
        (f"s{source}", strength) for source in range(3) for strength in (0.5, 0.8)
    }


def test_patches_lie_apart_around_objects_and_say_their_class() -> None:
    mode = REDRAW | {"patches": PATCHES}
    jobs, scenes = plan_redrawn(settings(8.0, img2img=mode), train())
    by_id = {job.id: job for job in jobs}
    assert sorted(by_id) == sorted(item for one in scenes for item in one.items)
    assert Counter(len(one.items) for one in scenes if one.source_id == "s0") == {2: 11}
    assert {len(one.items) for one in scenes if one.source_id == "s2"} == {1}  # their squares overlap
    for one in scenes:
        parts = [by_id[item] for item in one.items]
        regions = [job.part.region for job in parts if job.part]
        assert all(apart(region, regions[:n]) for n, region in enumerate(regions))
        assert all(job.source_id == one.source_id and job.part and job.part.object == -1 for job in parts)
        assert all(job.prompt == f"a photo of a {NAMES[job.label]}" for job in parts)
    assert {job.size for job in jobs if job.label == 1} == {(12, 12)}


def test_objects_that_others_cover_are_not_redrawn() -> None:
    mode = REDRAW | {"patches": PATCHES, "target_class": "same"}
    jobs, scenes = plan_redrawn(settings(4.0, inpaint_object=mode), train())
    assert {one.source_id for one in scenes} == {"s0", "s1"}
    real = {record.id: record for record in train()}
    for job in jobs:
        assert job.part is not None and job.source_id is not None
        assert real[job.source_id].category[job.part.object] == job.label


def test_rare_classes_are_redrawn_more_often_where_they_fit() -> None:
    mode = REDRAW | {"patches": PATCHES, "target_class": "rare"}
    cats = tuple((10.0 * n, 5.0, 8.0, 8.0) for n in range(8))
    crowd = ImageSet(NAMES, (scene(0, cats, (0,) * 8), scene(1, ((20, 20, 8, 8), (60, 20, 30, 30)), (1, 0))))
    jobs, scenes = plan_redrawn(settings(30.0, inpaint_object=mode), crowd)
    real = {record.id: record for record in crowd}
    first = [jobs_of for jobs_of in jobs if jobs_of.id.endswith("-0")]
    assert len(first) == len(scenes) == 60
    assert sum(job.label for job in first) > 40  # nine cats, one dog: four in five are drawn as dogs
    assert {job.source_id for job in first if job.label == 1} == {"s0", "s1"}
    for job in jobs:
        assert job.part is not None
        box = real[job.source_id or ""].bbox[job.part.object]
        assert job.label == 0 or box[2] == 8  # the large cat is not drawn as a dog


def test_asking_for_more_scenes_appends() -> None:
    mode = REDRAW | {"patches": PATCHES, "target_class": "rare"}
    few, many = (plan_redrawn(settings(n, inpaint_object=mode), train()) for n in (3.0, 6.0))
    assert set(few[0]) < set(many[0])
    assert set(few[1]) < set(many[1])


def test_modes_share_the_scenes_and_ids_differ() -> None:
    patched = REDRAW | {"patches": PATCHES}
    given = settings(
        img2img=patched,
        inpaint_background=patched | {"padding": 1, "weight": 2, "prompt": ""},
        inpaint_object=patched | {"target_class": "same"},
        paste=PASTE | {"objects": "train"},
    )
    jobs, scenes = plan_redrawn(given, train())
    scenes += plan_pasted(given, train(), objects(given))
    weights = {"img2img": 1.0, "inpaint_background": 2.0, "inpaint_object": 1.0, "paste": 1.0}
    assert Counter(one.mode for one in scenes) == shares(8, weights)
    assert len({one.id for one in scenes}) == len(scenes)
    assert len({job.seed for job in jobs}) == len(jobs)


def objects(given: GenerateParams, images: ImageSet | None = None, items: Sequence[Job] = ()) -> list[list[str]]:
    """The ids of the objects to paste, by class."""
    assert given.det.modes.paste is not None
    return objects_to_paste(given.det.modes.paste, images or train(), items, Objects())


def test_a_mode_without_an_object_says_so() -> None:
    negatives = ImageSet(NAMES, (scene(3, (), ()),))
    with pytest.raises(UserError, match=r"det\.modes\.img2img: no train scene has an object to start from"):
        plan_redrawn(settings(img2img=REDRAW), negatives)
    with pytest.raises(UserError, match=r"modes\.paste\.objects: no object of dog in train can be cut out"):
        objects(settings(paste=PASTE | {"objects": "train"}), ImageSet(NAMES, train().records[1:2]))


def test_pasted_objects_are_drawn_or_real_and_rare_ones_come_often() -> None:
    drawn = settings(20.0, paste=PASTE)
    items = plan_items(drawn, NAMES, "L")
    assert Counter(job.label for job in items) == {0: 2, 1: 2}
    scenes = plan_pasted(drawn, train(), objects(drawn, items=items))
    label = {job.id: job.label for job in items}
    pasted = Counter(label[item] for one in scenes for item in one.items)
    assert pasted[1] > 2 * pasted[0]  # six cats, one dog
    assert [one.source_id for one in scenes[:5]] == ["s0", "s1", "s2", "s3", "s0"]
    assert all(1 <= len(one.items) <= 3 for one in scenes)
    real = settings(20.0, paste=PASTE | {"objects": "train"})
    assert plan_items(real, NAMES, "L") == []
    used = {item for one in plan_pasted(real, train(), objects(real)) for item in one.items}
    assert used == {"s0#0", "s0#1", "s0#2"}  # the first two uncovered cats, and the dog
