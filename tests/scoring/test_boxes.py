from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sets import write_material

from diffaug.dataset.codec import encode_png
from diffaug.dataset.provenance import Composition, DrawnPart, Part, Provenance
from diffaug.dataset.records import Record, make_record
from diffaug.params.filter import Boxes
from diffaug.pictures.boxes import XYWH
from diffaug.runtime.errors import UserError
from diffaug.scoring.boxes import changes, failures, measure, outside

CAT, DOG = 0, 1
FIRST, SECOND = (10.0, 10.0, 20.0, 20.0), (60.0, 40.0, 20.0, 10.0)
CHECKS = Boxes(min_changed=0.1, min_side=5.0)


def scene(*objects: tuple[XYWH, int], pixels: np.ndarray | None = None, **columns: Any) -> Record:
    image = Image.fromarray(pixels) if pixels is not None else Image.new("L", (100, 60))
    boxes, categories = zip(*objects) if objects else ((), ())
    return make_record("s", encode_png(image), "train", bbox=boxes, category=categories, **columns)


def redrawn(*region: int, **part: int) -> Composition:
    return Composition(parts=(DrawnPart(Part(region, **part), "a photo", 0, 0.5),))


SOURCE = scene((FIRST, CAT), (SECOND, DOG))


@pytest.mark.parametrize(
    ("mode", "composition", "allowed"),
    [
        ("img2img", redrawn(5, 5, 35, 35), (20, 20)),
        ("inpaint_background", redrawn(5, 5, 35, 35, padding=2), (6, 6)),
        ("inpaint_object", redrawn(5, 5, 35, 35, object=0), (15, 15)),
        ("paste", Composition(pasted=((-3, 50, 10, 20),)), (52, 4)),
    ],
)
def test_pixels_that_a_mode_protects_must_be_the_sources(
    mode: str, composition: Composition, allowed: tuple[int, int]
) -> None:
    inside, beyond = np.zeros((60, 100), np.uint8), np.zeros((60, 100), np.uint8)
    inside[allowed] = 1
    beyond[allowed] = 1
    beyond[45, 65:68] = 255  # in the other box
    columns = Provenance(mode=mode, composition=composition).columns()
    fine = changes(scene((FIRST, CAT), (SECOND, DOG), pixels=inside, **columns), SOURCE)
    assert (fine.protected, fine.share) == (0, 1 / 6000)
    assert changes(scene((FIRST, CAT), (SECOND, DOG), pixels=beyond, **columns), SOURCE).protected == 3


def test_boxes_that_leave_the_scene() -> None:
    assert outside(SOURCE) == 0
    assert outside(scene()) == 0
    assert outside(scene((FIRST, CAT), ((95, 50, 10, 5), CAT))) == 5
    assert outside(scene(((-2.5, 50, 10, 5), CAT))) == 2.5


def test_every_scene_is_compared_with_its_photograph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    half = np.zeros((60, 100), np.uint8)
    half[:30] = 9
    made = Provenance(source_id="s", mode="img2img")
    whole = replace(made, composition=redrawn(0, 0, 100, 60))
    records = [
        scene((FIRST, CAT), pixels=half, origin="synthetic", **whole.columns()),
        scene(origin="synthetic", **made.columns()),
    ]
    generated = [make_record(f"g{n}", r.image, "train", **_columns(r)) for n, r in enumerate(records)]
    columns = measure(write_material(tmp_path, generated, train=[SOURCE], task="det"), CHECKS)
    assert columns["changed"] == [0.5, 0.0]
    assert (columns["boxes"], columns["box_side"], columns["box_outside"]) == ([1, 0], [20.0, -1.0], [0.0, 0.0])


def _columns(record: Record) -> dict[str, Any]:
    names = ("bbox", "category", "origin", "source_id", "mode", "settings")
    return {name: getattr(record, name) for name in names}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, []),
        ({"changed": 0.09}, ["nothing new"]),
        ({"box_side": 4.9}, ["box too small"]),
        ({"box_side": -1.0}, []),  # a negative has no box
        ({"box_outside": 1.1}, ["box off the image"]),
    ],
)
def test_thresholds(change: dict, reason: list[str]) -> None:
    row = {"changed": 0.1, "box_side": 5.0, "box_outside": 1.0} | change
    assert [what for what, fails in failures(row, CHECKS) if fails] == reason


def test_a_scene_of_no_photograph_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stale = make_record("g0", SOURCE.image, "train", origin="synthetic", source_id="gone")
    with pytest.raises(
        UserError, match="g0 is made from gone, which is not a real train image; run `dvc repro generate`"
    ):
        measure(write_material(tmp_path, [stale], train=[SOURCE], task="det"), CHECKS)
