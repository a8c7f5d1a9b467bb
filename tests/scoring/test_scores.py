import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffaug.errors import UserError
from diffaug.params.training import Audit, ClsChecks, DetChecks
from diffaug.scoring.degenerate import gray_std
from diffaug.scoring.duplicates import Hashes, hash_all, nearest, nearest_earlier
from diffaug.scoring.policy import Entry, Scores, judge, read_ledger, summarise, write_ledger

COMMON = {"min_std": 8.0, "min_distance_train": 3, "min_distance_heldout": 4, "min_distance_generated": 2}
CLS = ClsChecks(**COMMON, min_label_probability=0.1)
AUDIT = Audit(sure=0.5, found=0.1, min_iou=0.6, min_recall=0.8, new_objects="reject")
DET = DetChecks(**COMMON, min_changed=0.1, min_box_side=5.0, audit=AUDIT)
FINE = Scores("a", "cat", 8.0, 3, "t", 4, "v", 2, "g", label_probability=0.1, box_side=5.0)


def test_gray_std() -> None:
    image = Image.new("L", (2, 1))
    image.putpixel((1, 0), 255)
    assert gray_std(image) == 127.5
    assert gray_std(Image.new("RGB", (3, 3), (9, 9, 9))) == 0


def test_hashes_find_copies() -> None:
    noise = [
        Image.fromarray(np.random.default_rng(seed).integers(256, size=(32, 32), dtype=np.uint8)) for seed in range(3)
    ]
    hashes = hash_all(["a", "b", "c"], noise)
    copy = hash_all(["copy"], [noise[1].resize((64, 64), Image.Resampling.BICUBIC)])
    distance, id = nearest(copy.bits[0], hashes)
    assert (distance <= 2, id) == (True, "b")
    assert nearest(hashes.bits[2], Hashes((), np.zeros((0, 64), dtype=bool))) == (64, "")


def test_of_two_alike_the_first_is_kept() -> None:
    bits = np.zeros((3, 64), dtype=bool)
    bits[1, :5] = True
    hashes = Hashes(("a", "b", "c"), bits)
    assert [nearest_earlier(hashes, index) for index in range(3)] == [(64, ""), (5, "a"), (0, "a")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"std": 7.9}, "blank"),
        ({"distance_train": 2}, "copy of train"),
        ({"distance_heldout": 3}, "copy of val or test"),
        ({"distance_generated": 1}, "copy of synthetic"),
        ({"label_probability": 0.09}, "label doubted"),
        ({"std": 0.0, "distance_train": 0}, "blank"),
    ],
)
def test_every_check_has_its_reason(change: dict, reason: str) -> None:
    entry = judge(dataclasses.replace(FINE, **change), CLS)
    assert (entry.reason, entry.accepted) == (reason, reason == "")


def test_boxes_are_checked_for_detection_alone() -> None:
    assert judge(dataclasses.replace(FINE, box_side=4.9), DET).reason == "box too small"
    assert judge(dataclasses.replace(FINE, box_side=-1.0), DET).accepted  # a negative has no box
    assert judge(dataclasses.replace(FINE, label_probability=-1.0), DET).accepted
    assert judge(dataclasses.replace(FINE, box_side=4.9), CLS).accepted


def test_the_audits_word_counts_where_there_is_one() -> None:
    lost, new = dataclasses.replace(FINE, box_iou=0.59), dataclasses.replace(FINE, box_iou=0.6, new_object=0.5)
    assert judge(lost, DET).reason == "object not found"
    assert judge(new, DET).reason == "new object"
    assert judge(dataclasses.replace(new, new_object=0.49), DET).accepted
    assert judge(dataclasses.replace(FINE, changed=0.09), DET).reason == "nothing new"
    assert judge(dataclasses.replace(FINE, box_outside=1.1), DET).reason == "box off the image"
    silent = DET.model_copy(update={"audit": None})
    assert judge(lost, silent).accepted and judge(new, silent).accepted


@pytest.mark.parametrize(("policy", "ignored"), [("ignore", ((1.0, 2.0, 3.0, 4.0),)), ("keep", ())])
def test_scenes_with_new_objects_may_stay(policy: str, ignored: tuple, tmp_path: Path) -> None:
    new = dataclasses.replace(FINE, box_iou=1.0, new_object=0.9, new_boxes="[[1.0, 2.0, 3.0, 4.0, 0.9]]")
    audit = AUDIT.model_copy(update={"new_objects": policy})
    entry = judge(new, DET.model_copy(update={"audit": audit}))
    assert (entry.accepted, entry.ignored) == (True, ignored)
    write_ledger(tmp_path, [entry])
    assert read_ledger(tmp_path) == [entry]


def test_the_ledger_round_trips(tmp_path: Path) -> None:
    entries = [Entry(dataclasses.replace(FINE, id="b", label='a "quoted", name'), "blank"), Entry(FINE, "")]
    write_ledger(tmp_path, entries)
    first = (tmp_path / "ledger.csv").read_bytes()
    assert read_ledger(tmp_path) == entries[::-1]
    write_ledger(tmp_path, entries[::-1])
    assert (tmp_path / "ledger.csv").read_bytes() == first
    assert summarise(entries, "cls") == "filter: cls: 2 made, 1 kept, rejected: 1 blank"
    with pytest.raises(UserError, match=r"ledger\.csv: not found"):
        read_ledger(tmp_path / "nowhere")
