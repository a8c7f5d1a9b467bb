from collections import Counter

import pytest
from class_plan import NAMES, settings, train
from PIL import Image, ImageDraw
from settings import modes

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record
from diffaug.generation.plan.images import plan_cls
from diffaug.generation.plan.jobs import Job, image_seed
from diffaug.params.generate import GenerateParams
from diffaug.runtime.errors import UserError
from diffaug.segmenting.objects import Objects

BACKGROUND = {
    "weight": 1,
    "prompt": "a {class} on a wall",
    "strength": [0.5, 0.8],
    "repaint": "background",
    "padding": 1,
    "feather": 1,
}


def plan(given: GenerateParams, images: ImageSet) -> list[Job]:
    return plan_cls(given, images, Objects())


def test_classes_take_turns_and_sources_are_of_the_class() -> None:
    jobs = plan(settings(), train())
    assert Counter((job.mode, job.label) for job in jobs) == {
        (mode, label): count for mode, count in (("txt2img", 4), ("img2img", 3)) for label in range(3)
    }
    drawn = [job for job in jobs if job.mode == "img2img" and job.label == 1]
    assert [job.source_id for job in drawn] == ["t1", "t4", "t1"]
    assert [job.size for job in drawn] == [(20, 10), (8, 8), (20, 10)]
    assert {job.prompt for job in drawn} == {"a photo of a dog"}
    assert {job.size for job in jobs if job.mode == "txt2img"} == {(20, 10)}


def test_strengths_and_prompts_take_turns_on_every_source() -> None:
    both = {"strength": [0.4, 0.8], "prompt": ["a {class}", "the {class}"]}
    jobs = [job for job in plan(settings(cls=modes(img2img=both) | {"per_class": 8}), train()) if job.label == 0]
    # Two sources of the class, two prompts, two strengths: without a shift, some combinations would never occur.
    assert [job.source_id for job in jobs] == ["t0", "t3"] * 4
    assert len({(job.source_id, job.prompt, job.settings.strength) for job in jobs}) == 8
    alone = settings(cls=modes(img2img={"strength": [0.4, 0.8]}) | {"per_class": 4})
    drawn = [(job.source_id, job.settings.strength) for job in plan(alone, train()) if job.label == 0]
    assert drawn == [("t0", 0.4), ("t3", 0.8), ("t0", 0.8), ("t3", 0.4)]


def test_a_mode_may_have_settings_of_its_own() -> None:
    own = {"num_inference_steps": 7, "guidance_scale": 1.5, "eta": 0.5, "width": 64, "negative_prompt": "blurry"}
    job = plan(settings(cls=modes(txt2img=own)), train())[0]
    assert (job.settings.num_inference_steps, job.settings.guidance_scale, job.settings.eta) == (7, 1.5, 0.5)
    assert (job.settings.width, job.settings.height, job.negative_prompt) == (64, 0, "blurry")


def test_every_image_has_a_seed_of_its_own() -> None:
    jobs = plan(settings(txt2img=50, img2img=50), train())
    assert len({job.seed for job in jobs}) == len({job.id for job in jobs}) == len(jobs)
    assert all(0 <= job.seed < 2**63 for job in jobs)
    assert {job.seed for job in jobs}.isdisjoint(job.seed for job in plan(settings(50, 50, seed=1), train()))
    assert image_seed(0, "ab", "c", 1) != image_seed(0, "a", "bc", 1)


def test_asking_for_more_appends() -> None:
    few, many = plan(settings(), train()), plan(settings(8, 6), train())
    assert set(few) < set(many)


def test_without_images_nothing_is_planned() -> None:
    assert plan(settings(), ImageSet((), ())) == []


def test_inpainting_starts_from_images_whose_object_is_found() -> None:
    picture = Image.new("L", (20, 20))
    ImageDraw.Draw(picture).rectangle([5, 5, 12, 12], fill=200)
    found = [make_record(f"f{n}", encode_png(picture), "train", label=n) for n in range(3)]
    chosen = settings(cls=modes(inpaint=BACKGROUND | {"prompt": "a {class}"}))
    mixed = ImageSet(NAMES, (*train().records, *found))
    assert {job.source_id for job in plan(chosen, mixed)} == {"f0", "f1", "f2"}
    with pytest.raises(UserError) as caught:
        plan(chosen, train())
    assert str(caught.value) == (
        "params.yaml: generate.cls.modes.inpaint: no object was found in any train image of cat, dog, cow; they were "
        "looked for by colours alone: name a network that finds objects in generate.segmenter, or use img2img or "
        "controlnet"
    )
