import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sets import write_material

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.detector.detections import Detections
from diffaug.params.filter import Audit
from diffaug.pictures.boxes import XYWH
from diffaug.scoring import audit as module
from diffaug.scoring.audit import audit, failures, measure, trusted_classes

CAT, DOG = 0, 1
FIRST, SECOND = (10.0, 10.0, 20.0, 20.0), (60.0, 40.0, 20.0, 10.0)
CHECKS = Audit(sure=0.5, found=0.1, min_iou=0.5, min_recall=0.8, new_objects="reject")
BOTH = (CAT, DOG)  # classes that the detector finds in val


def scene(*objects: tuple[XYWH, int], **columns: Any) -> Record:
    boxes, categories = zip(*objects) if objects else ((), ())
    return make_record("s", encode_png(Image.new("L", (100, 60))), "train", bbox=boxes, category=categories, **columns)


def found(*detections: tuple[XYWH, int, float]) -> Detections:
    corners = [(x, y, x + w, y + h) for (x, y, w, h), _, _ in detections]
    return Detections(
        np.array(corners, np.float32).reshape(-1, 4),
        np.array([score for _, _, score in detections], np.float32),
        np.array([category for _, category, _ in detections], np.int64),
    )


SOURCE = scene((FIRST, CAT), (SECOND, DOG))
SEEN = found((FIRST, CAT, 0.9), (SECOND, DOG, 0.8))


def test_a_scene_whose_boxes_are_found_again_is_fine() -> None:
    again = found((FIRST, CAT, 0.2), ((60, 40, 20, 8), DOG, 0.9))
    result = audit(SOURCE, SOURCE, again, SEEN, CHECKS, BOTH)
    assert (result.judged, result.iou) == (2, pytest.approx(0.8))
    assert (result.new, result.new_boxes) == (0.0, ())


@pytest.mark.parametrize(
    ("again", "iou"),
    [
        (found((FIRST, CAT, 0.9)), 0.0),  # missing
        (found((FIRST, CAT, 0.9), (SECOND, CAT, 0.9)), 0.0),  # of another class
        (found((FIRST, CAT, 0.9), (SECOND, DOG, 0.05)), 0.0),  # confidence too low
        (found((FIRST, CAT, 0.9), ((70, 40, 20, 10), DOG, 0.9)), 1 / 3),  # somewhere else
        (found(), 0.0),
    ],
)
def test_a_box_that_was_surely_there_must_be_found_again(again: Detections, iou: float) -> None:
    assert audit(SOURCE, SOURCE, again, SEEN, CHECKS, BOTH).iou == pytest.approx(iou)


def test_what_the_detector_misses_in_the_source_is_not_judged() -> None:
    unsure = found((FIRST, CAT, 0.9), (SECOND, DOG, 0.4))
    assert audit(SOURCE, SOURCE, found((FIRST, CAT, 0.9)), unsure, CHECKS, BOTH).iou == 1.0
    nothing = audit(SOURCE, SOURCE, found(), found(), CHECKS, BOTH)
    assert (nothing.judged, nothing.iou) == (0, 1.0)


def test_a_surer_detection_of_another_class_speaks_against_the_label() -> None:
    renamed = scene((FIRST, DOG), (SECOND, DOG))
    still_a_cat = found((FIRST, CAT, 0.95), (FIRST, DOG, 0.11), (SECOND, DOG, 0.9))
    assert audit(renamed, SOURCE, still_a_cat, SEEN, CHECKS, BOTH).iou == 0.0
    a_dog_now = found((FIRST, CAT, 0.2), (FIRST, DOG, 0.3), (SECOND, DOG, 0.9))
    assert audit(renamed, SOURCE, a_dog_now, SEEN, CHECKS, BOTH).iou == pytest.approx(1.0)


def test_one_detection_is_found_for_one_box() -> None:
    near = (14.0, 10.0, 20.0, 20.0)  # IoU 2 / 3 with the first
    crowd = scene((FIRST, CAT), (near, CAT))
    both = found((FIRST, CAT, 0.9), (near, CAT, 0.9))
    assert audit(crowd, crowd, both, both, CHECKS, BOTH).iou == pytest.approx(1.0)
    assert audit(crowd, crowd, found((near, CAT, 0.9)), both, CHECKS, BOTH).iou == 0.0


@pytest.mark.parametrize("label", [((40, 5, 10, 10), CAT), (SECOND, CAT), ((62, 40, 18, 10), DOG)])
def test_new_shrunk_and_renamed_boxes_are_always_judged(label: tuple[XYWH, int]) -> None:
    made = scene((FIRST, CAT), label)
    assert audit(made, SOURCE, found((FIRST, CAT, 0.9)), found(), CHECKS, BOTH).iou == 0.0
    again = found((FIRST, CAT, 0.9), (*label, 0.2))
    assert audit(made, SOURCE, again, found(), CHECKS, BOTH).iou == pytest.approx(1.0)


def test_missing_a_new_box_says_nothing_of_a_class_that_it_misses_in_val() -> None:
    made = scene((FIRST, CAT), (SECOND, CAT))
    missed = found((FIRST, CAT, 0.9))
    assert audit(made, SOURCE, missed, SEEN, CHECKS, [CAT]).iou == 0.0
    unseen = audit(made, SOURCE, missed, SEEN, CHECKS, [DOG])
    assert (unseen.judged, unseen.iou) == (1, pytest.approx(1.0))
    unsure, sure = (found((FIRST, CAT, 0.9), (SECOND, DOG, score)) for score in (0.4, 0.6))
    assert audit(made, SOURCE, unsure, SEEN, CHECKS, [DOG]).judged == 1
    assert audit(made, SOURCE, sure, SEEN, CHECKS, [DOG]).iou == 0.0  # it detects a dog, but the label says cat


def test_a_class_is_trusted_by_its_recall_in_val() -> None:
    val = [scene((FIRST, CAT), (SECOND, DOG)) for _ in range(5)]
    seen = [found((FIRST, CAT, 0.2), (SECOND, DOG, 0.9))] * 3
    once_missed = [found((FIRST, CAT, 0.2)), found((FIRST, CAT, 0.05), (SECOND, DOG, 0.2))]
    trusted = trusted_classes(val, [*seen, *once_missed], 3, CHECKS)
    assert trusted == {CAT, DOG}  # four of five each; the third class has no objects
    stricter = CHECKS.model_copy(update={"min_recall": 0.81})
    assert trusted_classes(val, [*seen, *once_missed], 3, stricter) == frozenset()
    assert trusted_classes(val[:4], seen + seen[:1], 3, CHECKS) == frozenset()  # four objects are not enough


def test_a_sure_detection_that_nothing_explains_is_a_new_object() -> None:
    new = (80.0, 5.0, 10.0, 10.0)
    for score, boxes in [(0.7, [(*new, 0.7)]), (0.3, [])]:
        result = audit(
            SOURCE, SOURCE, found((FIRST, CAT, 0.9), (SECOND, DOG, 0.9), (new, CAT, score)), SEEN, CHECKS, BOTH
        )
        assert result.new == pytest.approx(score)
        assert [tuple(round(value, 2) for value in box) for box in result.new_boxes] == boxes


@pytest.mark.parametrize(
    "explained",
    [
        (FIRST, DOG),  # a label of another class is there: that label is in doubt, but this is not a new object
        ((12.0, 12.0, 8.0, 8.0), CAT),  # a part of a labelled object of this class
        ((30.0, 40.0, 9.0, 9.0), DOG),  # detected in the source too: an object without a label in the photograph
    ],
)
def test_what_a_label_or_the_source_explains_is_no_new_object(explained: tuple[XYWH, int]) -> None:
    before = found((FIRST, CAT, 0.9), (SECOND, DOG, 0.8), ((30.0, 40.0, 9.0, 9.0), DOG, 0.15))
    again = found((FIRST, CAT, 0.9), (SECOND, DOG, 0.8), (*explained, 0.95))
    assert audit(SOURCE, SOURCE, again, before, CHECKS, BOTH).new == 0.0


def test_another_class_inside_of_a_large_box_is_a_new_object() -> None:
    again = found((FIRST, CAT, 0.9), (SECOND, DOG, 0.8), ((12.0, 12.0, 8.0, 8.0), DOG, 0.9))
    assert audit(SOURCE, SOURCE, again, SEEN, CHECKS, BOTH).new == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({}, []), ({"box_iou": 0.49}, ["object not found"]), ({"new_object": 0.5}, ["new object"])],
)
def test_thresholds(change: dict, reason: list[str]) -> None:
    row = {"box_iou": 0.5, "new_object": 0.49} | change
    assert [what for what, fails in failures(row, CHECKS) if fails] == reason
    kept = CHECKS.model_copy(update={"new_objects": "ignore"})
    assert not any(fails for what, fails in failures(row, kept) if what == "new object")


def test_every_scene_is_held_against_its_own_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two photographs, one scene from each; the second scene has lost its cat, the first has a new dog."""
    monkeypatch.chdir(tmp_path)
    new = (80.0, 5.0, 10.0, 10.0)

    def named(id: str, *objects: tuple[XYWH, int], **columns: Any) -> Record:
        return replace(scene(*objects, **columns), id=id)

    photographs = [named("t0", (FIRST, CAT)), named("t1", (SECOND, CAT))]
    synthetic = {"origin": "synthetic", "mode": "img2img"}
    scenes = [
        named("g0", (FIRST, CAT), source_id="t0", **synthetic),
        named("g1", (SECOND, CAT), source_id="t1", **synthetic),
    ]
    seen = {"t0": found((FIRST, CAT, 0.9)), "t1": found((SECOND, CAT, 0.9)), "v0": found()}
    seen |= {"g0": found((FIRST, CAT, 0.9), (new, DOG, 0.8)), "g1": found()}
    monkeypatch.setattr(module, "load_detector", lambda folder: (folder, {"image_size": 64}))
    monkeypatch.setattr(module, "detect", lambda model, records, size, device: [seen[record.id] for record in records])
    val = [replace(named("v0", (FIRST, DOG)), split="val")]
    columns = measure(write_material(tmp_path, scenes, train=photographs, val=val, task="det"), CHECKS)
    assert columns["box_iou"] == pytest.approx([1.0, 0.0])
    assert columns["boxes_judged"] == [1, 1]
    assert columns["new_object"] == pytest.approx([0.8, 0.0])
    assert json.loads(columns["new_boxes"][0]) == [[*new, 0.8]] and columns["new_boxes"][1] == ""
    assert "can judge 2 of 2 boxes, and new ones of 0 of 2 classes" in capsys.readouterr().out
