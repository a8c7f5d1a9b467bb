"""The stage on a folder with faults: what it writes and counts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from default_params import trained_here
from paths import ROOT
from photos import two_hundred, write_voc

from diffaug.dataset.records import read_set

FOLDER = {"source": "folder", "path": "photos", "val_fraction": 0.2, "test_fraction": 0.2}
CROPS = {"source": "crops", "context": 1.5, "min_side": 4}


def stage(folder: Path, strict: bool) -> subprocess.CompletedProcess[str]:
    raw = trained_here("real/cls/train")
    raw["download"] |= {"cls": CROPS, "det": FOLDER, "strict": strict}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(ROOT / "stages/download.py")]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A folder whose VOC files have an unreadable image, a box without area and a difficult one."""
    photos = write_voc(tmp_path / "photos", two_hundred())
    (photos / "JPEGImages/p000.png").write_bytes(b"no image")
    page = photos / "Annotations/p002.xml"
    text = page.read_text(encoding="utf-8").replace("<difficult>0", "<difficult>1", 1)
    page.write_text(text.replace("<xmax>50", "<xmax>21"), encoding="utf-8")
    return tmp_path


def test_strict_it_ends_with_one_line(faulty: Path) -> None:
    done = stage(faulty, strict=True)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("download: photos/Annotations/p002.xml, line 5: the box 21 2 21 30 has no area")
    assert last.endswith(
        "and 1 more (1 x unreadable image); correct them, or set download.strict: false, which drops and counts them"
    )
    assert not (faulty / "data").exists()


def test_not_strict_it_counts_what_it_drops(faulty: Path) -> None:
    done = stage(faulty, strict=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((faulty / "metrics/speed/download.json").read_text())
    assert (report["dropped_rows"], report["dropped_images"], report["kept_out_rows"]) == (1, 1, 1)
    train = read_set(faulty / "data/real/det/train")
    assert len(train) == 117
    assert len(read_set(faulty / "data/real/cls/train")) > 100
    assert next(record for record in train if record.id == "JPEGImages/p002.png").bbox == ()
    lines = [line for line in done.stdout.splitlines() if line.startswith("download: ")]
    assert len(lines) == 6  # what was understood, two kinds of faults, the boxes left out, and the images of each task
    assert lines[0] == (
        "download: det: Pascal VOC, images in JPEGImages, labels in Annotations, splits by lists; 200 images; "
        "splits given: train, val, test"
    )
    assert "download: 1 boxes marked as crowd or difficult are left out" in lines
