import dataclasses
from collections import Counter
from typing import Any

import yaml
from import_graph import ROOT
from PIL import Image, ImageDraw

from diffaug.generation.paste import compose
from diffaug.generation.plan import SceneJob, batches, common_format, image_seed, plan_cls, plan_items, plan_scenes
from diffaug.images import encode_png
from diffaug.params import GenerateParams, Paste
from diffaug.records import ImageSet, make_record

NAMES = ("cat", "dog", "cow")


def params(txt2img: int = 4, img2img: int = 3, seed: int = 0) -> GenerateParams:
    raw: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["generate"]
    raw["seed"] = seed
    raw["cls"]["txt2img"]["per_class"] = txt2img
    raw["cls"]["img2img"]["per_class"] = img2img
    raw["det"]["paste"] |= {"per_real": 2.5, "items_per_class": 2, "max_objects": 3}
    return GenerateParams.model_validate(raw)


def train() -> ImageSet:
    sizes = [(20, 10), (20, 10), (8, 8), (20, 10), (8, 8), (20, 10)]
    records = [
        make_record(f"t{index}", encode_png(Image.new("L", size, index)), "train", label=index % 3)
        for index, size in enumerate(sizes)
    ]
    return ImageSet(NAMES, tuple(records))


def test_classes_take_turns_and_sources_are_of_the_class() -> None:
    jobs = plan_cls(params(), train())
    assert Counter((job.mode, job.label) for job in jobs) == {
        (mode, label): count for mode, count in (("txt2img", 4), ("img2img", 3)) for label in range(3)
    }
    drawn = [job for job in jobs if job.mode == "img2img" and job.label == 1]
    assert [job.source_id for job in drawn] == ["t1", "t4", "t1"]
    assert [job.size for job in drawn] == [(20, 10), (8, 8), (20, 10)]
    assert {job.prompt for job in drawn} == {"a photo of a dog"}
    assert {job.size for job in jobs if job.mode == "txt2img"} == {(20, 10)}


def test_every_image_has_a_seed_of_its_own() -> None:
    jobs = plan_cls(params(txt2img=50, img2img=50), train())
    assert len({job.seed for job in jobs}) == len({job.id for job in jobs}) == len(jobs)
    assert all(0 <= job.seed < 2**63 for job in jobs)
    assert {job.seed for job in jobs}.isdisjoint(job.seed for job in plan_cls(params(50, 50, seed=1), train()))
    assert image_seed(0, "ab", "c", 1) != image_seed(0, "a", "bc", 1)


def test_asking_for_more_appends() -> None:
    few, many = plan_cls(params(), train()), plan_cls(params(9, 7), train())
    assert set(few) < set(many)


def test_batches_are_fixed_ranges_of_one_mode() -> None:
    few, many = (batches(plan_cls(params(count, count), train()), 5) for count in (4, 6))
    assert all(len({job.mode for job in batch}) == 1 for batch in many)
    assert [len(batch) for batch in few] == [5, 5, 2, 5, 5, 2]
    whole = [batch for batch in few if len(batch) == 5]
    assert all(batch in many for batch in whole)


def test_an_empty_task_plans_nothing() -> None:
    assert plan_cls(params(), ImageSet((), ())) == []
    assert plan_items(params(), (), (8, 8), "L") == []
    assert plan_scenes(params(), ImageSet((), ()), []) == []


def test_scenes_use_items_that_are_planned() -> None:
    items = plan_items(params(), NAMES, (8, 8), "L")
    assert Counter(job.label for job in items) == {0: 2, 1: 2, 2: 2}
    scenes = plan_scenes(params(), train(), items)
    assert len(scenes) == 15
    assert [scene.source_id for scene in scenes[:7]] == ["t0", "t1", "t2", "t3", "t4", "t5", "t0"]
    assert all(1 <= len(scene.items) <= 3 and set(scene.items) <= {job.id for job in items} for scene in scenes)


def test_common_format() -> None:
    assert common_format(train()) == ((20, 10), "L")


def test_pasting_keeps_the_real_boxes_and_adds_exact_ones() -> None:
    drawn = Image.new("L", (16, 16))
    ImageDraw.Draw(drawn).rectangle([4, 4, 11, 11], fill=255)
    item = dataclasses.replace(plan_items(params(), NAMES, (16, 16), "L")[1], id="item")
    source = make_record(
        "s", encode_png(Image.new("L", (64, 64), 90)), "train", bbox=((40.0, 40.0, 20.0, 20.0),), category=(0,)
    )
    settings = Paste(per_real=1.0, items_per_class=1, max_objects=1, scale=[1.0, 1.0], max_overlap=0.0)
    job = SceneJob("paste-000000", 0, "s", ("item", "item"), 5)
    record = compose(job, source, {"item": (item, encode_png(drawn))}, {1: 8.0}, settings, model="m")
    assert record.bbox[0] == source.bbox[0]
    assert record.category == (0, 1, 1)
    image = record.open()
    for x, y, width, height in record.bbox[1:]:
        assert (width, height) == (8, 8)
        assert image.crop((int(x), int(y), int(x) + 8, int(y) + 8)).getextrema() == (255, 255)
    assert sum(image.histogram()[255:]) == 2 * 64
    assert (record.origin, record.split, record.source_id, record.model) == ("synthetic", "train", "s", "m")
    assert record == compose(job, source, {"item": (item, encode_png(drawn))}, {1: 8.0}, settings, model="m")


def test_a_place_that_is_not_found_leaves_the_scene_as_it_was() -> None:
    source = make_record(
        "s", encode_png(Image.new("L", (32, 32), 90)), "train", bbox=((0.0, 0.0, 32.0, 32.0),), category=(0,)
    )
    item = plan_items(params(), NAMES, (16, 16), "L")[0]
    settings = Paste(per_real=1.0, items_per_class=1, max_objects=1, scale=[1.0, 1.0], max_overlap=0.0)
    data = encode_png(Image.new("L", (16, 16), 255))
    record = compose(SceneJob("p", 0, "s", (item.id,), 5), source, {item.id: (item, data)}, {0: 16.0}, settings)
    assert (record.bbox, record.image) == (source.bbox, source.image)
