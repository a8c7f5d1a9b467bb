"""From a folder of photographs and a folder of boxes to a verdict, without an edit of the preset but fewer steps."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from project import make_project, run

from diffaug.dataset.records import read_set

pytestmark = pytest.mark.slow
SHORT = (
    *("train_gen.scratch.vae.steps=8", "train_gen.scratch.unet.steps=8", "train_gen.scratch.size=16"),
    "generate.num_inference_steps=3",
    *("train_cls.steps=4", "train_cls.eval_every=2", "train_cls.image_size=16"),
    *("train_det.steps=4", "train_det.eval_every=2", "train_det.image_size=64"),
)


def draw(photos: Path, labels: Path) -> None:
    """36 and 12 photographs of 80 pixels in two class folders; a bright disc in each, whose box is in `labels`."""
    generator = np.random.default_rng(0)
    labels.mkdir()
    for name, count in (("Day", 36), ("Night", 12)):
        (photos / name).mkdir(parents=True)
        for number in range(count):
            ground = generator.integers(0, 60, (80, 80, 3)) + (80 if name == "Day" else 0)
            image = Image.fromarray(ground.astype(np.uint8))
            x, y = (int(value) for value in generator.integers(4, 50, size=2))
            ImageDraw.Draw(image).ellipse([x, y, x + 23, y + 23], fill=(250, 200, 60))
            image.save(photos / name / f"{name}{number:02d}.png")
            row = f"0 {(x + 12) / 80:.6f} {(y + 12) / 80:.6f} {24 / 80:.6f} {24 / 80:.6f}\n"
            (labels / f"{name}{number:02d}.txt").write_text(row)
    (labels / "classes.txt").write_text("disc\n")


def test_from_start_to_a_verdict(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    draw(tmp_path / "photos", tmp_path / "labels")
    run(project, "diffaug", "start", str(tmp_path / "photos"), str(tmp_path / "labels"), "--out", "own.yaml")
    run(project, "diffaug", "use", "own.yaml", *SHORT)
    assert "params.yaml: fine" in run(project, "diffaug", "check")
    run(project, "dvc", "repro")
    table = run(project, "diffaug", "verdict")
    assert re.search(r"classifier accuracy .*\n(.*\n)*detector mAP50-95", table)
    for split, count in (("train", 24), ("val", 10), ("test", 14)):
        cls, det = (read_set(project / f"data/real/{task}/{split}") for task in ("cls", "det"))
        assert {record.sha256 for record in cls} == {record.sha256 for record in det}
        assert abs(len(cls) - count) <= 1  # of 48, by both tasks' shares
    added = [record for record in read_set(project / "data/merged/0/det/train") if record.added_by]
    assert added and any(len(record.bbox) > 1 for record in added)
