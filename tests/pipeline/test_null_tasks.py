"""A task that is null runs nothing and warns of nothing; and a detector of one class goes all the way."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from project import change, copy_of, digest, make_project, repro, run

pytestmark = pytest.mark.slow
WARNED = re.compile(r"warning|traceback|error|divide by|nan\b", re.IGNORECASE)


def draw_scenes(folder: Path, count: int = 30) -> None:
    """A YOLO folder of one class: a bright disc on noise, 64 x 64 pixels."""
    generator = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        image = Image.fromarray(generator.integers(0, 60, (64, 64, 3), dtype=np.uint8))
        x, y = (int(value) for value in generator.integers(4, 40, size=2))
        ImageDraw.Draw(image).ellipse([x, y, x + 19, y + 19], fill=(250, 200, 60))
        image.save(folder / f"images/{number:02d}.png")
        row = f"0 {(x + 10) / 64:.6f} {(y + 10) / 64:.6f} {20 / 64:.6f} {20 / 64:.6f}\n"
        (folder / f"labels/{number:02d}.txt").write_text(row)
    (folder / "data.yaml").write_text("train: images\nnames: [disc]\n")


def drawn(project: Path) -> set[Path]:
    """The finished pictures in the work cache of generate."""
    return set((project / ".work/generate").rglob("*.png"))


def test_a_task_taken_away_redraws_nothing_of_the_other(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    both, images = drawn(project), digest(project / "data/generated/cls")
    times = {path: path.stat().st_mtime_ns for path in both}
    change(project, {"download": {"det": None}})
    assert repro(project, "generate") == {"download", "generate"}
    assert drawn(project) == both and {path: path.stat().st_mtime_ns for path in both} == times
    assert digest(project / "data/generated/cls") == images


@pytest.mark.long
def test_a_task_that_is_null_is_silent(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    draw_scenes(project / "scenes")
    det = {"source": "folder", "path": "scenes", "val_fraction": 0.2, "test_fraction": 0.3}
    change(project, {"download": {"det": None}})  # another source has other keys
    change(project, {"download": {"det": det, "cls": None}, "train_gen": {"images": "real/det/train"}})
    said = run(project, "dvc", "repro")
    assert not WARNED.search(said), said
    own = [line for line in said.splitlines() if re.match(r"(filter|generate|evaluate|report)\b", line)]
    assert own and not [line for line in own if "cls" in line]
    details = json.loads((project / "metrics/details.json").read_text())
    assert set(details["test_images"]) == {"det"} and 0 <= details["det"]["mAP50"] <= 1
    page = (project / "metrics/report.html").read_text(encoding="utf-8")
    assert "Detector mAP50-95" in page and "lassifier" not in page
