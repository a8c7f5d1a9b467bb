from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from default_params import edited
from paths import ROOT
from pydantic import BaseModel

from diffaug.params import Params, load_params
from diffaug.runtime.errors import UserError

GOOD = (ROOT / "params.yaml").read_text(encoding="utf-8")

FOLDER = {"source": "folder", "path": "photos", "val_fraction": 0.2, "test_fraction": 0.2}
DTD = {"source": "torchvision", "name": "dtd", "train_per_class": 25}
SIZES = ("val_per_class", "test_per_class", "pool")
PETS = {
    **{"source": "torchvision", "name": "oxford_iiit_pet", "train_per_class": 1, "val_per_class": 1},
    **{"test_per_class": 1, "pool": 20000},
}
PET_BOXES = {"source": "oxford_iiit_pet", "val_fraction": 0.2, "test_fraction": 0.2}
CROPS = {"source": "crops", "context": 1.2, "min_side": 8}
PRIOR = {"caption": "a {class}", "images": 2, "steps": 2, "guidance_scale": 2.0, "weight": 1.0}
HUB = {
    "source": "hf",
    "name": "owner/pets",
    "revision": "0" * 40,
    "image": "image",
    "label": "label",
    "splits": {"train": "train", "val": None, "test": None},
    "val_fraction": 0.2,
    "test_fraction": 0.2,
}


def test_a_model_that_states_its_training_images_is_kept_from_the_splits(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "seen.safetensors").touch()

    def draw_with_it(params: dict[str, Any]) -> None:
        params["train_gen"]["method"] = "none"
        params["generate"]["model"] = {"name": str(model)}

    with pytest.raises(UserError, match=r"seen\.safetensors in it names; set download\.unseen_by to '.*model'"):
        load_params(edited(tmp_path, draw_with_it))

    def also_say_so(params: dict[str, Any]) -> None:
        draw_with_it(params)
        params["download"]["unseen_by"] = str(model)
        params["train_gen"]["lora"]["model"] = {"name": str(model)}  # not used, and of the same name

    assert load_params(edited(tmp_path, also_say_so)).download.unseen_by == str(model)


def test_the_projects_own_params_are_fine() -> None:
    assert load_params(ROOT / "params.yaml").merge.ratio >= 0


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda p: p.update(extra=1), ["extra: unknown key", "value 1"]),
        (lambda p: p["merge"].update(ration=2), ["merge.ration: unknown key", "value 2"]),
        (lambda p: p["merge"].update(ratio=-1), ["merge.ratio: found -1", "greater than or equal to 0"]),
        (lambda p: p["merge"].update(ratio=4.5), ["merge.ratio 4.5 needs", "generate.det.per_real, now 4"]),
        (
            lambda p: (p["merge"].update(ratio=7), p["download"].update(det=None)),
            ["merge.ratio 7 x train_per_class 20 needs more than the 80 images"],
        ),
        (lambda p: p["merge"].update(ratio="one"), ["merge.ratio: found 'one'", "must be a number"]),
        (lambda p: p["merge"].update(ratio=float("nan")), ["merge.ratio: found nan"]),
        (lambda p: p["merge"].update(ratio=float("inf")), ["merge.ratio: found inf"]),
        (lambda p: p["merge"].update(seed=True), ["merge.seed: found True", "must be a whole number"]),
        (lambda p: p.pop("filter"), ["filter: missing"]),
        (lambda p: p["train_cls"].pop("steps"), ["train_cls.steps: missing"]),
        (lambda p: p["generate"].update(scheduler="magic"), ["generate.scheduler", "ddim", "unipc", "'magic'"]),
        (lambda p: p["generate"].update(prompt="a photo"), ["generate.prompt", "{class}", "'a photo'"]),
        (lambda p: p["train_det"].update(eval_every=7), ["train_det: steps 900", "multiple of eval_every 7"]),
        (lambda p: p.update(seeds=[1, 1]), ["seeds [1, 1]", "twice"]),
        (lambda p: p.update(seeds=[]), ["seeds: found []"]),
        (lambda p: p["download"].update(cls=None, det=None), ["download", "both null"]),
        (lambda p: p["download"].update(cls=None), ["download", "'scenes'", "null"]),
        (lambda p: p["download"]["cls"].update(source="cifar"), ["download.cls", "cifar", "fashion_mnist", "folder"]),
        (lambda p: p["download"].pop("strict"), ["download.strict: missing"]),
        (lambda p: p["download"].update(strict=1), ["download.strict: found 1", "must be true or false"]),
        (lambda p: p["download"].update(cls=PETS, det=PET_BOXES), ["download: cls and det", "cls.source 'crops'"]),
        (lambda p: p["download"].update(cls=CROPS), ["download: cls.source 'crops'", "'scenes' is composed of cls"]),
        (lambda p: p["download"].update(cls=CROPS, det=None), ["download: cls.source 'crops'", "det, but det is null"]),
        (
            lambda p: p["download"].update(cls={**CROPS, "context": 0.9}, det={"source": "bccd"}),
            ["download.cls.context: found 0.9", "greater than or equal to 1"],
        ),
        (lambda p: p["download"].update(det={"source": "bccd", "path": "x"}), ["download.det.path: unknown key"]),
        (
            lambda p: p["download"].update(det={**FOLDER, "format": "csv"}),
            ["download.det.format: found 'csv'", "coco"],
        ),
        (lambda p: p["download"].update(det={**FOLDER, "classes": []}), ["download.det.classes: found []"]),
        (
            lambda p: p["download"].update(det={**FOLDER, "classes": ["a"], "format": "coco"}),
            ["download.det: classes is only for format voc"],
        ),
        (
            lambda p: p["download"].update(det={**FOLDER, "classes": ["a", "a"]}),
            ["download.det: classes has a class twice: a, a"],
        ),
        (lambda p: p["download"].update(cls={**FOLDER, "format": "coco"}), ["download.cls.format: unknown key"]),
        (
            lambda p: p["download"]["cls"].update(source="torchvision", name="mnist"),
            ["download.cls.name: found 'mnist'", "'cifar10'", "'svhn'"],
        ),
        (
            lambda p: (p["merge"].update(ratio=3.5), p["download"]["cls"].update(DTD)),
            ["merge.ratio 3.5 x train_per_class 25 needs more than the 80 images"],
        ),
        (
            lambda p: p["download"].update(cls={**HUB, "revision": "main"}),
            ["download.cls", "revision of owner/pets is 'main'", "https://huggingface.co/datasets/owner/pets main`"],
        ),
        (lambda p: p["download"].update(cls={**HUB, "name": "pets"}), ["'pets' is neither a hub id (owner/dataset)"]),
        (
            lambda p: p["download"].update(cls={**HUB, "name": "./pets"}),
            ["'./pets' is a local path, which cannot have a revision; remove the revision"],
        ),
        (lambda p: p["download"].update(det=HUB), ["download.det.objects: missing"]),
        (lambda p: p["download"].update(cls={**HUB, "splits": {"train": None}}), ["download.cls.splits"]),
        (lambda p: p["download"]["cls"].update(pool=0), ["train_gen.images is 'pool'", "real/cls/train"]),
        (
            lambda p: p["train_gen"].update(images="own/../x"),
            ["train_gen.images: must be pool,", "real, or own/NAME, the folder data/own/NAME"],
        ),
        (lambda p: p["train_gen"].update(captions="../mine.csv"), ["train_gen.captions", "in the folder prompts/"]),
        (
            lambda p: p["train_gen"].update(images="real/det/train", captions="prompts/a.csv"),
            ["train_gen: captions must be null: they are of whole images"],
        ),
        (
            lambda p: p["train_gen"].update(method="lora", images="own/a", captions="prompts/a.csv"),
            ["train_gen: captions must be null: the pictures of own/a have their captions beside them"],
        ),
        (
            lambda p: p["train_gen"].update(method="textual_inversion"),
            ["train_gen: caption must contain <my-style>, the word that is taught"],
        ),
        (
            lambda p: p["train_gen"].update(method="textual_inversion", caption="a {class}, <my-style>"),
            ["no prompt of generate has <my-style>, the word that train_gen teaches"],
        ),
        (
            lambda p: p["train_gen"]["textual_inversion"].update(token="my style"),
            ["train_gen.textual_inversion.token: must be one word of 2 to 64 letters"],
        ),
        (lambda p: p["train_gen"].update(images="own/a"), ["train_gen: images is own/a, which has no classes"]),
        (
            lambda p: p["train_gen"]["lora"].update(prior=PRIOR | {"caption": "a photo"}),
            ["train_gen: lora.prior.caption must contain {class}"],
        ),
        (
            lambda p: (
                p["train_gen"].update(method="lora", images="own/a"),
                p["train_gen"]["lora"].update(prior=PRIOR),
            ),
            ["train_gen: lora.prior.caption must not contain {class}: own pictures have none"],
        ),
        (
            lambda p: p["generate"].update(num_inference_steps=1),
            ["generate: cls.modes.img2img: num_inference_steps 1 x strength 0.5 is below one step"],
        ),
        (
            lambda p: p["train_gen"]["scratch"]["unet"].update(caption_dropout=0.0),
            ["generate.guidance_scale 1.5 above 1 needs train_gen.scratch.unet.caption_dropout above 0"],
        ),
        (lambda p: p["train_gen"]["scratch"].update(size=30), ["train_gen.scratch: size 30 must be a multiple of 8"]),
        (
            lambda p: p["train_gen"].update(method="none"),
            ["generate.model.name is 'models/generator'", "train_gen.method 'none' does not make"],
        ),
        (
            lambda p: p["generate"].update(model={"name": "./mine"}),
            ["train_gen.method 'scratch' trains 'models/generator'", "generate.model.name is './mine'"],
        ),
        (
            lambda p: (
                p["download"].update(unseen_by="./mine"),
                p["train_gen"].update(method="none"),
                p["generate"].update(model={"name": "./other"}),
            ),
            ["download.unseen_by is './mine', but the generator is another model; set it to null"],
        ),
        (
            lambda p: p["download"].update(unseen_by="owner/model"),
            ["download.unseen_by: 'owner/model' must be the folder of a model"],
        ),
        (
            lambda p: p["generate"].update(model={"name": "stabilityai/sd-turbo", "revision": "main"}),
            ["generate.model", "'main'", "git ls-remote https://huggingface.co/stabilityai/sd-turbo main"],
        ),
        (
            lambda p: p["generate"]["cls"].update(modes={}),
            ["generate", "cls.modes: none is given"],
        ),
        (
            lambda p: p["generate"]["cls"]["modes"]["img2img"].update(strength=[0.5, 1.5]),
            ["generate.cls.modes.img2img.strength.1: found 1.5"],
        ),
        (
            lambda p: p["generate"].update(prompts_file="/etc/passwd"),
            ["generate.prompts_file", "must be in the folder prompts/"],
        ),
        (
            lambda p: p["generate"]["det"]["modes"]["paste"].update(scale=[2.0, 1.0]),
            ["generate.det.modes.paste: scale is [smallest, largest]"],
        ),
    ],
)
def test_bad_params_are_one_clear_line(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], words: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        load_params(edited(tmp_path, edit))
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    ("task", "source"),
    [
        ("cls", {**FOLDER}),
        ("cls", {**CROPS, "per_class": 100}),
        ("cls", {**HUB, "config": "small"}),
        ("cls", {"source": "torchvision", "name": "cifar10", "train_per_class": 5} | dict.fromkeys(SIZES, 5)),
        ("det", {**FOLDER, "format": "voc", "classes": ["cat"]}),
        ("det", {"source": "oxford_iiit_pet", "val_fraction": 0.2, "test_fraction": 0.2}),
        ("det", {key: value for key, value in HUB.items() if key != "label"} | {"objects": "objects"}),
    ],
)
def test_every_source_can_be_named(tmp_path: Path, task: str, source: dict[str, Any]) -> None:
    def edit(params: dict[str, Any]) -> None:
        params["download"] |= {"det": {"source": "bccd"}, task: source}
        params["train_gen"]["images"] = "real/cls/train"

    loaded = load_params(edited(tmp_path, edit)).download
    assert getattr(loaded, task).source == source["source"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not readable as YAML"),
        ("- 1", "expected sections"),
        (f"{GOOD}\nmerge: {{ratio: 1.0}}\n", "the key 'merge' occurs twice, in lines"),
        (GOOD.replace("learning_rate: 0.002", "learning_rate: 1e-3"), "train_det.learning_rate: found '1e-3'"),
    ],
)
def test_bad_yaml_is_one_clear_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_params(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not found; run from the repository's root"):
        load_params(tmp_path / "params.yaml")


def models(annotation: Any) -> set[type[BaseModel]]:
    """All models in the type of a field."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        inner = (models(field.annotation) for field in annotation.model_fields.values())
        return {annotation}.union(*inner)
    return set().union(*(models(part) for part in get_args(annotation)))


def test_what_may_be_left_out_is_off_and_no_other_knob_has_a_hidden_default() -> None:
    found = models(Params)
    assert len(found) > 30
    optional = [field for model in found for field in model.model_fields.values() if not field.is_required()]
    assert len(optional) > 15
    assert [field.default for field in optional if field.default is not None] == []
