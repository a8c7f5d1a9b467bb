"""The examples of docs/use-the-models.md do what they say."""

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

from diffaug.classifier.network import build as build_classifier
from diffaug.classifier.network import load_classifier, save_classifier
from diffaug.classifier.predicting import predict_logits, to_tensors
from diffaug.commands.export import export
from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record
from diffaug.detector.network import build as build_detector
from diffaug.detector.network import save_detector

EXAMPLES = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/use-the-models.md").read_text("utf-8"), re.M | re.S)


def output(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8))


def test_the_example_of_the_classifier_answers_as_evaluate_does(tmp_path: Path, photo: Image.Image) -> None:
    torch.manual_seed(0)
    names, place = ("cat", "dog", "owl"), tmp_path / "models/cls/merged-0"
    save_classifier(place, build_classifier(params().train_cls, 3), params().train_cls, names)
    photo.save(tmp_path / "photo.png")
    model, facts = load_classifier(place, torch.device("cpu"))
    images = ImageSet(names, (make_record("a", encode_png(photo), "test", label=0),))
    logits = predict_logits(model, to_tensors(images, facts["image_size"], torch.device("cpu")).images)
    probability, place_of = logits.softmax(1)[0].max(0)
    name, number = output(EXAMPLES[0], tmp_path).split()
    assert name == names[place_of] and abs(float(number) - probability.item()) < 1e-5


def test_the_example_of_the_detector_runs(tmp_path: Path, photo: Image.Image) -> None:
    torch.manual_seed(0)
    chosen = params().train_det.model_copy(update={"model": as_yaml(tmp_path, small()), "image_size": 64})
    model = build_detector(chosen, ("cat", "dog"))
    for branch in model.model[-1].cv3:
        torch.nn.init.zeros_(branch[-1].bias)
    save_detector(tmp_path / "det", model, chosen, ("cat", "dog"))
    export(tmp_path / "det", tmp_path / "best.pt")
    photo.save(tmp_path / "photo.png")
    assert re.match(r"[01]\.0 0\.[345]\d* \[\[\d", output(EXAMPLES[1], tmp_path))
