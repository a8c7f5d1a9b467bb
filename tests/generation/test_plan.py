import dataclasses
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from settings import modes, params

from diffaug.errors import UserError
from diffaug.generation.paste import compose
from diffaug.generation.plan import (
    SceneJob,
    batches,
    common_format,
    formats_of,
    image_seed,
    plan_backgrounds,
    plan_cls,
    plan_items,
    plan_scenes,
    shares,
)
from diffaug.images import encode_png
from diffaug.params.generation import GenerateParams, Paste
from diffaug.records import ImageSet, make_record

NAMES = ("cat", "dog", "cow")
PASTE = {"weight": 1, "items_per_class": 2, "max_objects": 3, "scale": [1.0, 1.0], "max_overlap": 0.1}
BACKGROUND = {
    "weight": 1,
    "prompt": "a {class} on a wall",
    "strength": [0.5, 0.8],
    "repaint": "background",
    "padding": 1,
    "feather": 1,
}


def settings(txt2img: int = 4, img2img: int = 3, **changes: object) -> GenerateParams:
    """`txt2img` and `img2img` images a class: their weights and their sum."""
    cls = {
        "per_class": txt2img + img2img,
        "modes": {"txt2img": {"weight": txt2img}, "img2img": {"weight": img2img, "strength": 0.7}},
    }
    return params(**{"cls": cls, "det": {"per_real": 2.5, "modes": {"paste": PASTE}}} | changes)


def train() -> ImageSet:
    sizes = [(20, 10), (20, 10), (8, 8), (20, 10), (8, 8), (20, 10)]
    records = [
        make_record(f"t{index}", encode_png(Image.new("L", size, index)), "train", label=index % 3)
        for index, size in enumerate(sizes)
    ]
    return ImageSet(NAMES, tuple(records))


def test_classes_take_turns_and_sources_are_of_the_class() -> None:
    jobs = plan_cls(settings(), train())
    assert Counter((job.mode, job.label) for job in jobs) == {
        (mode, label): count for mode, count in (("txt2img", 4), ("img2img", 3)) for label in range(3)
    }
    drawn = [job for job in jobs if job.mode == "img2img" and job.label == 1]
    assert [job.source_id for job in drawn] == ["t1", "t4", "t1"]
    assert [job.size for job in drawn] == [(20, 10), (8, 8), (20, 10)]
    assert {job.prompt for job in drawn} == {"a photo of a dog"}
    assert {job.size for job in jobs if job.mode == "txt2img"} == {(20, 10)}


def test_weights_are_shares_that_only_grow() -> None:
    weights = {"txt2img": 2.0, "img2img": 1.0, "inpaint": 1.0}
    assert shares(8, weights) == {"txt2img": 4, "img2img": 2, "inpaint": 2}
    for total in range(30):
        few, many = shares(total, weights), shares(total + 1, weights)
        assert sum(few.values()) == total
        assert all(many[name] >= few[name] for name in weights)


def test_strengths_and_prompts_take_turns_on_every_source() -> None:
    both = {"strength": [0.4, 0.8], "prompt": ["a {class}", "the {class}"]}
    jobs = [job for job in plan_cls(settings(cls=modes(img2img=both) | {"per_class": 8}), train()) if job.label == 0]
    # Two sources of the class, two prompts, two strengths: without a shift some would never meet.
    assert [job.source_id for job in jobs] == ["t0", "t3"] * 4
    assert len({(job.source_id, job.prompt, job.settings.strength) for job in jobs}) == 8
    alone = settings(cls=modes(img2img={"strength": [0.4, 0.8]}) | {"per_class": 4})
    drawn = [(job.source_id, job.settings.strength) for job in plan_cls(alone, train()) if job.label == 0]
    assert drawn == [("t0", 0.4), ("t3", 0.8), ("t0", 0.8), ("t3", 0.4)]


def test_a_mode_may_have_settings_of_its_own() -> None:
    own = {"num_inference_steps": 7, "guidance_scale": 1.5, "eta": 0.5, "width": 64, "negative_prompt": "blurry"}
    job = plan_cls(settings(cls=modes(txt2img=own)), train())[0]
    assert (job.settings.num_inference_steps, job.settings.guidance_scale, job.settings.eta) == (7, 1.5, 0.5)
    assert (job.settings.width, job.settings.height, job.negative_prompt) == (64, 0, "blurry")


def test_every_image_has_a_seed_of_its_own() -> None:
    jobs = plan_cls(settings(txt2img=50, img2img=50), train())
    assert len({job.seed for job in jobs}) == len({job.id for job in jobs}) == len(jobs)
    assert all(0 <= job.seed < 2**63 for job in jobs)
    assert {job.seed for job in jobs}.isdisjoint(job.seed for job in plan_cls(settings(50, 50, seed=1), train()))
    assert image_seed(0, "ab", "c", 1) != image_seed(0, "a", "bc", 1)


def test_asking_for_more_appends() -> None:
    few, many = plan_cls(settings(), train()), plan_cls(settings(8, 6), train())
    assert set(few) < set(many)


def test_batches_are_fixed_ranges_of_one_class_and_mode() -> None:
    few, many = (batches(plan_cls(settings(count, count), train()), 3) for count in (4, 6))
    assert all(len({(job.settings, job.label) for job in batch}) == 1 for batch in many)
    assert sorted(len(batch) for batch in few) == [1] * 6 + [3] * 6
    assert all(batch in many for batch in few if len(batch) == 3)


def test_another_prompt_for_one_class_leaves_the_others_batches_alone() -> None:
    before = batches(plan_cls(settings(), train()), 3)
    after = batches(plan_cls(settings(classes={"dog": {"prompt": "a barking {class}"}}), train()), 3)
    changed = [batch for batch in after if batch not in before]
    assert {job.label for batch in changed for job in batch} == {1}
    assert {job.seed for batch in changed for job in batch} == {
        job.seed for batch in before for job in batch if job.label == 1
    }


def test_an_empty_task_plans_nothing() -> None:
    both = settings(det={"per_real": 2.5, "modes": {"paste": PASTE, "inpaint": BACKGROUND}})
    assert plan_cls(both, ImageSet((), ())) == []
    assert plan_items(both, (), (8, 8), "L") == []
    assert plan_scenes(both, ImageSet((), ()), []) == []
    assert plan_backgrounds(both, ImageSet((), ())) == []


def test_inpainting_starts_from_images_whose_object_is_found() -> None:
    picture = Image.new("L", (20, 20))
    ImageDraw.Draw(picture).rectangle([5, 5, 12, 12], fill=200)
    found = [make_record(f"f{n}", encode_png(picture), "train", label=n) for n in range(3)]
    chosen = settings(cls=modes(inpaint=BACKGROUND | {"prompt": "a {class}"}))
    mixed = ImageSet(NAMES, (*train().records, *found))
    assert {job.source_id for job in plan_cls(chosen, mixed)} == {"f0", "f1", "f2"}
    with pytest.raises(UserError, match=r"cls\.modes\.inpaint: no train image of cat, dog, cow has an object"):
        plan_cls(chosen, train())


def test_scenes_use_items_that_are_planned() -> None:
    items = plan_items(settings(), NAMES, (8, 8), "L")
    assert Counter(job.label for job in items) == {0: 2, 1: 2, 2: 2}
    scenes = plan_scenes(settings(), train(), items)
    assert len(scenes) == 15
    assert [scene.source_id for scene in scenes[:7]] == ["t0", "t1", "t2", "t3", "t4", "t5", "t0"]
    assert all(1 <= len(scene.items) <= 3 and set(scene.items) <= {job.id for job in items} for scene in scenes)


def test_backgrounds_share_the_scenes_with_pasting() -> None:
    both = settings(det={"per_real": 3.0, "modes": {"paste": PASTE, "inpaint": BACKGROUND | {"weight": 2}}})
    backgrounds = plan_backgrounds(both, train())
    assert len(backgrounds) == 12
    assert len(plan_scenes(both, train(), plan_items(both, NAMES, (8, 8), "L"))) == 6
    assert [(job.source_id, job.size, job.settings.strength, job.label) for job in backgrounds[:2]] == [
        ("t0", (20, 10), 0.5, -1),
        ("t1", (20, 10), 0.8, -1),
    ]


def test_common_format() -> None:
    assert common_format(formats_of(train())) == ((20, 10), "L")


def test_pasting_keeps_the_real_boxes_and_adds_exact_ones(tmp_path: Path) -> None:
    drawn = Image.new("L", (16, 16))
    ImageDraw.Draw(drawn).rectangle([4, 4, 11, 11], fill=255)
    drawn.save(tmp_path / "item.png")
    item = dataclasses.replace(plan_items(settings(), NAMES, (16, 16), "L")[1], id="item")
    source = make_record(
        "s", encode_png(Image.new("L", (64, 64), 90)), "train", bbox=((40.0, 40.0, 20.0, 20.0),), category=(0,)
    )
    paste = Paste.model_validate(PASTE | {"max_overlap": 0.0})
    job = SceneJob("paste-000000", 0, "s", ("item", "item"), 5)
    items = {"item": (item, tmp_path / "item.png")}
    record = compose(job, source, items, {1: 8.0}, paste, model="m")
    assert record.bbox[0] == source.bbox[0]
    assert record.category == (0, 1, 1)
    image = record.open()
    for x, y, width, height in record.bbox[1:]:
        assert (width, height) == (8, 8)
        assert image.crop((int(x), int(y), int(x) + 8, int(y) + 8)).getextrema() == (255, 255)
    assert sum(image.histogram()[255:]) == 2 * 64
    assert (record.origin, record.split, record.source_id, record.model) == ("synthetic", "train", "s", "m")
    assert record == compose(job, source, items, {1: 8.0}, paste, model="m")


def test_a_place_that_is_not_found_leaves_the_scene_as_it_was(tmp_path: Path) -> None:
    source = make_record(
        "s", encode_png(Image.new("L", (32, 32), 90)), "train", bbox=((0.0, 0.0, 32.0, 32.0),), category=(0,)
    )
    Image.new("L", (16, 16), 255).save(tmp_path / "item.png")
    item = plan_items(settings(), NAMES, (16, 16), "L")[0]
    paste = Paste.model_validate(PASTE | {"max_overlap": 0.0})
    job = SceneJob("p", 0, "s", (item.id,), 5)
    record = compose(job, source, {item.id: (item, tmp_path / "item.png")}, {0: 16.0}, paste)
    assert record.bbox == source.bbox
    assert list(record.open().getdata()) == list(source.open().getdata())
