"""The audit on planted scenes: a detector trained for this test, and fifty scenes for each known fault."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from paths import ROOT
from PIL import Image, ImageDraw, ImageFilter

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, Record, make_record
from diffaug.detector.network import save_detector
from diffaug.detector.predicting import detect, load_detector
from diffaug.detector.training import train_detector
from diffaug.export.yolo import write_data_yaml, write_yolo
from diffaug.params.filter import DetChecks
from diffaug.params.train_det import TrainDetParams
from diffaug.scoring.audit import audit, trusted_classes
from diffaug.scoring.ledger import Entry
from diffaug.scoring.policy import judge
from diffaug.training.order import endless
from diffaug.training.run import Run

pytestmark = pytest.mark.slow

NAMES = ("disc", "square")
SIZE, PLANTED = 96, 50
TRAINING = TrainDetParams.model_validate(
    {
        **{
            "model": "yolo11n.yaml",
            "augmentation": "plain",
            "weights": None,
            "image_size": SIZE,
            "steps": 240,
            "batch_size": 16,
        },
        **{"learning_rate": 0.002, "flip": 0.5, "mosaic": 0.5, "eval_every": 40, "workers": 0},
    }
)
Shape = tuple[int, int, int, int, int]  # left, top, side, class, shade


def shapes(generator: np.random.Generator) -> list[Shape]:
    """Two or three squares that do not overlap."""
    chosen: list[Shape] = []
    while len(chosen) < 3:
        side = int(generator.integers(16, 27))
        left, top = (int(value) for value in generator.integers(2, SIZE - side - 2, size=2))
        if _lies_free(left, top, side, chosen):
            chosen.append((left, top, side, int(generator.integers(2)), int(generator.integers(150, 256))))
        elif generator.random() < 0.02:
            chosen = []
    return chosen[: int(generator.integers(2, 4))]


def _lies_free(left: int, top: int, side: int, others: list[Shape]) -> bool:
    """Whether there are at least three pixels between a square and the others."""
    return all(
        left + side + 3 <= other[0]
        or other[0] + other[2] + 3 <= left
        or top + side + 3 <= other[1]
        or other[1] + other[2] + 3 <= top
        for other in others
    )


def draw(objects: list[Shape], noise: int, id: str, labels: list[Shape] | None = None) -> Record:
    """The objects on a noisy ground, with their own labels or other labels."""
    ground = np.random.default_rng(noise).integers(30, 90, size=(SIZE, SIZE, 3), dtype=np.uint8)
    image = Image.fromarray(ground).filter(ImageFilter.GaussianBlur(1))
    pen = ImageDraw.Draw(image)
    for left, top, side, kind, shade in objects:
        corners = [left, top, left + side - 1, top + side - 1]
        (pen.rectangle if kind else pen.ellipse)(corners, fill=(shade, shade - 60, 60))
    said = objects if labels is None else labels
    boxes = tuple((float(left), float(top), float(side), float(side)) for left, top, side, _, _ in said)
    return make_record(id, encode_png(image), "train", bbox=boxes, category=tuple(shape[3] for shape in said))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Record]]:
    """The folder of a detector, and the val scenes on which it was not trained."""
    folder = tmp_path_factory.mktemp("teacher")
    generator = np.random.default_rng(0)
    records = [draw(shapes(generator), 1000 + index, f"{index:03d}") for index in range(160)]
    for split, some in (("train", records[:120]), ("val", records[120:])):
        write_yolo(ImageSet(NAMES, tuple(some)), folder, split)
    data = write_data_yaml(folder, NAMES, {"train": "train", "val": "val"})
    run = Run("teacher", 0, lambda start: endless(120, 0, start=start), folder)
    trained = train_detector(data, NAMES, TRAINING, run, torch.device("cpu"))
    save_detector(folder / "model", trained.model, TRAINING, NAMES)
    return folder / "model", records[120:]


def planted() -> list[tuple[str, Record, Record]]:
    """(fault, scene, source): the ground of the source is redrawn in every scene."""
    generator = np.random.default_rng(1)
    cases = []
    for number in range(PLANTED):
        objects = shapes(generator)
        source = draw(objects, number, f"source-{number}")
        left, top, side, kind, shade = objects[0]
        away = int(0.6 * side) * (1 if left < SIZE / 2 else -1)
        moved: Shape = (left + away, top, side, kind, shade)
        free = next(shape for shape in iter(lambda: shapes(generator)[0], None) if _lies_free(*shape[:3], objects))
        scenes = {
            "good": (objects, objects),
            "erased": (objects[1:], objects),
            "added": ([*objects, free], objects),
            "shifted": (objects, [moved, *objects[1:]]),
            "renamed": (objects, [(left, top, side, 1 - kind, shade), *objects[1:]]),
        }
        cases += [
            (wrong, draw(drawn, 500 + number, f"{wrong}-{number}", labels), source)
            for wrong, (drawn, labels) in scenes.items()
        ]
    return cases


def test_planted_faults_are_found_and_good_scenes_pass(
    teacher: tuple[Path, list[Record]], capsys: pytest.CaptureFixture[str]
) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["filter"]["det"]
    checks = DetChecks.model_validate(raw)
    assert checks.audit is not None
    folder, val = teacher
    model, facts = load_detector(folder)
    cases = planted()
    found, before, real = (
        detect(model, records, facts["image_size"], torch.device("cpu"))
        for records in ([case[1] for case in cases], [case[2] for case in cases], val)
    )
    trusted = trusted_classes(val, real, len(NAMES), checks.audit)
    assert trusted == {0, 1}
    rejected: Counter[str] = Counter()
    for (wrong, scene, source), seen, known in zip(cases, found, before):
        result = audit(scene, source, seen, known, checks.audit, trusted)
        row = Entry(scene.id, "", {"box_iou": result.iou, "new_object": result.new})
        rejected[wrong] += not judge(row, DetChecks(audit=checks.audit)).accepted
    with capsys.disabled():
        print(f"\nthe audit of {PLANTED} scenes each rejects: {dict(rejected)}")
    assert rejected["good"] <= 0.1 * PLANTED
    for wrong in ("erased", "added", "shifted", "renamed"):
        assert rejected[wrong] >= 0.9 * PLANTED, wrong
