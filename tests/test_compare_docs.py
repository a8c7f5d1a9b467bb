"""The examples of docs/compare.md write files that `diffaug compare` reads."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import as_yaml, small
from default_params import params
from paths import ROOT
from PIL import Image
from tqdm import tqdm

from diffaug.commands.export import export
from diffaug.comparing.classification import measure_classifier, read_true_classes
from diffaug.comparing.coco import read_results, read_truth
from diffaug.comparing.detection import measure_detections
from diffaug.detector.network import build as build_detector
from diffaug.detector.network import save_detector

YOLO_TRUTH, CLASSIFIER = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "docs/compare.md").read_text("utf-8"), re.M | re.S
)


def draw(path: Path, seed: int, size: tuple[int, int] = (40, 60)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


def execute(code: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_example_of_the_classifier(tmp_path: Path) -> None:
    for number in range(6):
        draw(tmp_path / f"test/{'cat' if number % 2 else 'dog'}/{number}.png", number)
    given = (
        "import torch\ntorch.manual_seed(0)\n"
        "from torchvision.transforms import ToTensor as prepare_with\nprepare = prepare_with()\n"
        "model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 2))\n"
    )
    execute(given + CLASSIFIER, tmp_path)
    classes = read_true_classes(tmp_path / "a.csv", None, None)
    assert classes.names == ["cat", "dog"] and sorted(classes.labels.values()) == ["cat"] * 3 + ["dog"] * 3
    points = measure_classifier(tmp_path / "a.csv", classes, None, np.ones((1, 6))).points
    assert points["accuracy of cat"] + points["accuracy of dog"] == pytest.approx(2 * points["accuracy"])


def test_the_example_of_ultralytics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ultralytics predicts in an image is taken for that image of the truth, though its id is another."""
    sizes = {"007": (64, 96), "7a": (96, 64)}
    for number, (stem, size) in enumerate(sizes.items()):
        for split in ("train", "val", "test"):
            draw(tmp_path / f"images/{split}/{stem}.png", number, size)
            (tmp_path / f"labels/{split}").mkdir(parents=True, exist_ok=True)
            (tmp_path / f"labels/{split}/{stem}.txt").write_text(f"{number} 0.5 0.5 0.25 0.5\n")
    splits = "".join(f"{split}: images/{split}\n" for split in ("train", "val", "test"))
    (tmp_path / "data.yaml").write_text(f"path: {tmp_path}\n{splits}names: [cat, dog]\n")
    execute(YOLO_TRUTH, tmp_path)
    truth = read_truth(tmp_path / "truth.json")
    assert truth.names == ("cat", "dog") and truth.rows[1][0]["bbox"] == [24.0, 24.0, 16.0, 48.0]

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    chosen = params().train_det.model_copy(update={"model": as_yaml(tmp_path, small()), "image_size": 64})
    model = build_detector(chosen, ("cat", "dog"))
    for branch in model.model[-1].cv3:
        torch.nn.init.zeros_(branch[-1].bias)
    save_detector(tmp_path / "det", model, chosen, ("cat", "dog"))
    export(tmp_path / "det", tmp_path / "best.pt")
    from ultralytics import YOLO

    options = {"split": "test", "save_json": True, "plots": False, "workers": 0, "verbose": False, "device": "cpu"}
    YOLO("best.pt").val(data="data.yaml", project=str(tmp_path / "runs"), name="a", imgsz=64, **options)
    found = read_results(tmp_path / "runs/a/predictions.json", truth)
    right = found.box[:, 0] + found.box[:, 2]
    assert right[found.image == 0].max() == pytest.approx(96, abs=1)  # the first image is so wide
    assert right[found.image == 1].max() == pytest.approx(64, abs=1)
    ids = {row["category_id"] for row in json.loads((tmp_path / "runs/a/predictions.json").read_text())}
    assert ids <= set(truth.categories) == {1, 2}
    with tqdm(disable=True) as bar:
        assert 0 <= measure_detections(truth, found, np.ones((1, 2)), bar).points["mAP50"] <= 1
