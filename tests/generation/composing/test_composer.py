"""Scenes from drawn and from real objects, through the work cache and the tables."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from settings import params, source

from diffaug.dataset.records import make_record, read_set, write_set
from diffaug.generation.composing import composer
from diffaug.generation.composing.tables import write_tables
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.engines import draw_all
from diffaug.generation.plan.plan import make_plan
from diffaug.params.generate import GenerateParams
from diffaug.runtime.errors import UserError
from diffaug.segmenting.objects import Objects

PASTE = {
    **{"weight": 1, "items_per_class": 2, "max_objects": 2, "scale": [0.3, 0.4], "max_overlap": 0.9},
    **{"min_visible": 0.8, "min_labelled": 0.5, "feather": 0},
}


@pytest.fixture(autouse=True)
def two_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder: two real scenes with one object each, of another class; no classification images."""
    monkeypatch.chdir(tmp_path)
    records = []
    for number in range(2):
        real = source(150 + 20 * number, None)
        records.append(make_record(f"det-{number}", real.image, "train", bbox=real.bbox, category=(number,)))
    write_set(Path("data/real/det/train"), ("cat", "dog"), records)
    write_set(Path("data/real/cls/train"), (), [])


def make(given: GenerateParams) -> None:
    drawing = Drawing(given, make_plan(given), Path("work"), torch.device("cpu"))
    draw_all(drawing, given, Path("work"))
    write_tables(drawing, given, Path("out/cls"), Path("out/det"))


def test_real_objects_are_pasted_without_any_model() -> None:
    """The model does not exist, so it cannot have been opened."""
    make(params("./nowhere", det={"per_real": 3.0, "modes": {"paste": PASTE | {"objects": "train"}}}))
    made = read_set(Path("out/det"))
    assert len(made) == 6 and len(read_set(Path("out/cls"))) == 0
    assert any(len(record.bbox) > 1 for record in made)
    assert {record.model for record in made} == {None}


def test_only_the_named_classes_are_pasted() -> None:
    paste = PASTE | {"objects": "train", "classes": ["dog"]}
    make(params("./nowhere", det={"per_real": 3.0, "modes": {"paste": paste}}))
    assert {label for record in read_set(Path("out/det")) for label in record.category[1:]} == {1}
    with pytest.raises(UserError, match=r"paste\.classes: there is no class 'cow'; the classes are cat, dog"):
        make(params("./nowhere", det={"per_real": 3.0, "modes": {"paste": paste | {"classes": ["cow"]}}}))


def test_drawn_objects_that_cannot_be_cut_out_are_counted(
    random_pipeline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first of two."""

    def cut(image: Image.Image, *_: object) -> Image.Image | None:
        return None if fails.pop(0) else image.convert("RGBA")

    fails = [True, False] * 2
    monkeypatch.setattr(composer, "cut_out", cut)
    monkeypatch.setattr(Objects, "cut", lambda self, *given: cut(*given))
    paste = PASTE | {"objects": "generated", "max_objects": 1, "items_per_class": 1}
    make(params(random_pipeline, num_inference_steps=2, batch_size=2, det={"per_real": 9.0, "modes": {"paste": paste}}))
    said = capsys.readouterr().out
    assert "generate: note: 1 of 1 " in said and "could not be cut out of the background" in said
    assert "leave such classes out with generate.det.modes.paste.classes" in said
