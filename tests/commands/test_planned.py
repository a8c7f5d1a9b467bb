"""`diffaug check` finds what would fail after hours: it makes the plan on the images that are on the disk."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from default_params import raw, trained_here
from paths import ROOT
from photos import WRITERS, two_hundred
from PIL import Image
from project import merged
from segmenters import ellipses

from diffaug.commands.check import check
from diffaug.params import Params
from diffaug.runtime.errors import UserError

FRACTIONS = {"val_fraction": 0.2, "test_fraction": 0.2}
PASTE_REAL = {
    "objects": "train",
    **{"weight": 1, "items_per_class": 2, "max_objects": 2, "scale": [0.8, 1.25], "max_overlap": 0.15},
    **{"min_visible": 1.0, "min_labelled": 0.3, "feather": 0},
}


@pytest.fixture(autouse=True)
def own_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))


def shades(folder: Path, cat: int = 20, dog: int = 10) -> dict[str, Any]:
    """A folder of photographs of two classes, all different."""
    for name, count in (("cat", cat), ("dog", dog)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (32, 32), (number, 7, 3 if name == "cat" else 9)).save(folder / name / f"{number}.png")
    return {"source": "folder", "path": str(folder), **FRACTIONS}


def with_data(cls: Any, det: Any, images: str = "real/cls/train", **changes: Any) -> None:
    raw = trained_here(images)
    raw["download"] |= {"cls": cls, "det": det}
    check(Params.model_validate(merged(raw, changes)))


def test_a_generator_that_cannot_draw_the_other_tasks_classes(tmp_path: Path) -> None:
    boxes = {"source": "folder", "path": str(WRITERS["yolo"](tmp_path / "boxes", two_hundred())), **FRACTIONS}
    with pytest.raises(UserError) as error:
        with_data(shades(tmp_path / "shades"), boxes)
    assert str(error.value) == (
        "params.yaml: train_gen.images: a generator trained on real/cls/train can draw cat, dog, but det needs 狗; "
        "train it on images of all these classes (images: real has those of both tasks), or name a pre-trained model "
        "in generate.model"
    )
    with_data(shades(tmp_path / "again"), boxes, "real")


def test_a_pre_trained_generator_that_cannot_draw_the_classes(tmp_path: Path) -> None:
    """The default with another `download.cls`, and nothing else."""
    content = raw()
    content["download"] |= {"cls": shades(tmp_path / "shades"), "det": None}
    with pytest.raises(UserError) as error:
        check(Params.model_validate(merged(content, {"merge": {"ratio": 1.0}})))
    assert str(error.value).startswith(
        "params.yaml: generate.model: ./pretrained/clothes can draw T-shirt/top, Trouser,"
    )
    assert str(error.value).endswith(
        "but cls needs cat, dog; name a model that knows these, or train one here (train_gen.method: scratch, "
        "generate.model.name: models/generator, download.unseen_by: null)"
    )


def test_own_boxes_beside_the_examples_clothes(tmp_path: Path) -> None:
    """The default's classifier with one's own detection data: the pool has only clothes."""
    boxes = {"source": "folder", "path": str(WRITERS["yolo"](tmp_path / "boxes", two_hundred())), **FRACTIONS}
    clothes = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["download"]["cls"]
    with pytest.raises(UserError, match=r"trained on pool can draw Ankle boot, .* but det needs cat"):
        with_data(clothes, boxes, "pool")


def test_a_ratio_above_what_is_made_names_one_that_works(tmp_path: Path) -> None:
    generate = {"cls": {"per_class": 20, "oversample": None}}
    with pytest.raises(UserError) as error:
        with_data(shades(tmp_path / "shades"), None, generate=generate, merge={"ratio": 4.0})
    assert str(error.value) == (
        "params.yaml: merge.ratio 4 needs 48 images of cat (12 real ones), but generate.cls makes 20 (too few of dog "
        "too); raise per_class to 48, or lower the ratio to 1.66; or set merge.on_shortage: lower"
    )
    with_data(shades(tmp_path / "again"), None, generate=generate, merge={"ratio": 1.66})


def test_objects_that_cannot_be_cut_out(tmp_path: Path) -> None:
    """Each is covered by another."""
    root = tmp_path / "plain"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for number in range(20):
        Image.new("RGB", (64, 64), (number, 90, 90)).save(root / "images" / f"{number}.png")
        (root / "labels" / f"{number}.txt").write_text("0 0.5 0.5 0.25 0.25\n0 0.5 0.5 0.3 0.3\n")
    (root / "data.yaml").write_text("train: images\nnames: [cell]\n")
    det = {"source": "folder", "path": str(root), **FRACTIONS}
    with pytest.raises(UserError, match=r"paste\.objects: no object of cell .*: 0 of cell\); remove paste, or use obj"):
        with_data(None, det, "real/det/train", generate={"det": {"modes": {"paste": PASTE_REAL}}})


def test_a_plan_of_millions_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ask for 90000000 images, but at most 2000000 are planned"):
        with_data(shades(tmp_path / "shades"), None, generate={"cls": {"per_class": 10_000_000}})


def test_one_large_photograph_does_not_count_for_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = shades(tmp_path / "photos")
    Image.new("RGB", (2400, 2400), (1, 2, 3)).save(tmp_path / "photos/cat/large.png")
    with_data(source, None)
    needed = re.search(r"([\d.]+) GiB of disk", capsys.readouterr().out)
    assert needed and float(needed[1]) < 5


INPAINT = {"weight": 1, "strength": 1.0, "repaint": "background", "padding": 1, "feather": 1}


def photographs(folder: Path, corner: bool = False) -> dict[str, Any]:
    """A folder of photographs of two classes, of which GrabCut finds the object, unless it is in a corner."""
    for name, count in (("cat", 10), ("dog", 10)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            left, top = 16 - number % 4, 16 - number // 4
            box = (2 + number, 2, 12 + number, 14) if corner else (left, top, left + 32, top + 32)
            ellipses((64, 64), {box: name}).save(folder / name / f"{number}.png")
    return {"source": "folder", "path": str(folder), **FRACTIONS}


def inpainting(segmenter: Path | None = None) -> dict[str, Any]:
    cls = {"per_class": 6, "oversample": None, "modes": {"txt2img": None, "img2img": None, "inpaint": INPAINT}}
    named = {"segmenter": {"name": str(segmenter)}} if segmenter else {}
    return {"generate": {"cls": cls} | named, "merge": {"ratio": 1.0}}


def test_photographs_whose_object_is_found_by_colours_and_what_was_found_is_kept(tmp_path: Path) -> None:
    with_data(photographs(tmp_path / "photos"), None, **inpainting())
    kept = list((tmp_path / "work/generate/masks").rglob("*.png"))
    assert 8 <= len(kept) <= 12  # one for each train image
    with pytest.raises(UserError, match=r"inpaint: no object was found in any train image of cat, dog; they were"):
        with_data(photographs(tmp_path / "corners", corner=True), None, **inpainting())


def test_a_segmenter_is_not_loaded_and_counts_as_finding_each_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its folder has no weights."""
    folder = tmp_path / "sam"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "sam"}))
    with_data(photographs(tmp_path / "corners", corner=True), None, **inpainting(folder))
    said = capsys.readouterr().out
    assert said.count("generate.segmenter: note: it is not run here; how many objects it finds is known when") == 1
    (folder / "config.json").write_text(json.dumps({"model_type": "segformer"}))
    with pytest.raises(UserError, match=r"segmenter: .*config\.json: model_type: found 'segformer'; allowed are sam, "):
        with_data(photographs(tmp_path / "again"), None, **inpainting(folder))
    with pytest.raises(UserError, match=r"generate\.segmenter: .*/nowhere does not exist; name an existing file or fo"):
        with_data(photographs(tmp_path / "third"), None, **inpainting(tmp_path / "nowhere"))
