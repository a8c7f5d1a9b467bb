"""A trained model as a file of another program: what that program predicts is what is predicted here."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import as_yaml, small
from default_params import params
from PIL import Image
from ultralytics import YOLO

from diffaug.classifier.network import build as build_classifier
from diffaug.classifier.network import load_classifier, save_classifier
from diffaug.commands.export import export
from diffaug.detector.network import build as build_detector
from diffaug.detector.network import save_detector
from diffaug.detector.predicting import load_detector
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")
NAMES = ("cat", "狗")
needs_onnx = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")), reason="the extra onnx"
)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("cls")
    save_classifier(folder, build_classifier(params().train_cls, 2), params().train_cls, NAMES)
    return folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("det")
    chosen = params().train_det.model_copy(update={"model": as_yaml(place, small()), "image_size": 64})
    model = build_detector(chosen, NAMES)
    for branch in model.model[-1].cv3:  # without training, no confidence is above 0.0001
        torch.nn.init.normal_(branch[-1].weight)
        torch.nn.init.zeros_(branch[-1].bias)
    save_detector(place / "model", model, chosen, NAMES)
    return place / "model"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def boxes(yolo: YOLO, photo: Path, **settings: int) -> torch.Tensor:
    """Boxes, confidences and classes of the most certain detections."""
    (found,) = yolo.predict(photo, conf=0.0001, max_det=20, verbose=False, device="cpu", save=False, **settings)
    assert len(found.boxes) == 20
    return found.boxes.data


def test_a_detector_opens_in_ultralytics(detector: Path, photo: Path, tmp_path: Path) -> None:
    export(detector, tmp_path / "best.pt")
    opened = YOLO(tmp_path / "best.pt")
    assert opened.names == {0: "cat", 1: "狗"} and opened.task == "detect"
    assert torch.equal(boxes(opened, photo), boxes(load_detector(detector)[0], photo, imgsz=64))


def test_yolo_predict_uses_an_exported_detector(detector: Path, photo: Path, tmp_path: Path) -> None:
    export(detector, tmp_path / "best.pt")
    found = boxes(YOLO(tmp_path / "best.pt"), photo)
    options = ("model=best.pt", "source=photo.png", "conf=0.0001", "max_det=20", "device=cpu")
    done = subprocess.run(
        [Path(sys.executable).parent / "yolo", "predict", *options, "save_txt=True", f"project={tmp_path / 'runs'}"],
        cwd=tmp_path,
        env=os.environ | {"YOLO_OFFLINE": "true"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = (tmp_path / "runs").rglob("photo.txt")
    rows = [[float(value) for value in line.split()] for line in table.read_text().splitlines()]
    corners = [[90 * (x - w / 2), 40 * (y - h / 2), 90 * (x + w / 2), 40 * (y + h / 2), c] for c, x, y, w, h in rows]
    assert torch.allclose(torch.tensor(corners).sort(0)[0], found[:, [0, 1, 2, 3, 5]].sort(0)[0], atol=0.01)


@needs_onnx
def test_a_detector_in_onnx_gives_the_same_numbers(detector: Path, photo: Path, tmp_path: Path) -> None:
    import onnxruntime

    export(detector, tmp_path / "best.onnx")
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = load_detector(detector)[0].model.eval()(images)[0]
    session = onnxruntime.InferenceSession(tmp_path / "best.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": images.numpy()})
    assert np.abs(found - expected.numpy()).max() < 1e-4
    assert [path.name for path in tmp_path.iterdir() if path != photo] == ["best.onnx"]
    opened = YOLO(tmp_path / "best.onnx", task="detect")
    square = boxes(load_detector(detector)[0], photo, imgsz=64, rect=False)
    assert torch.allclose(boxes(opened, photo), square, atol=1e-3)
    assert opened.names == {0: "cat", 1: "狗"}


@needs_onnx
def test_a_classifier_in_onnx_gives_the_same_numbers(classifier: Path, tmp_path: Path) -> None:
    import onnxruntime

    export(classifier, tmp_path / "best.onnx")
    model, facts = load_classifier(classifier, CPU)
    images = torch.randn(3, 3, facts["image_size"], facts["image_size"], generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(images)
    session = onnxruntime.InferenceSession(tmp_path / "best.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": images.numpy()})
    assert np.abs(found - expected.numpy()).max() < 1e-4
    assert '"mean": [0.485, 0.456, 0.406]' in session.get_modelmeta().custom_metadata_map["preprocessing"]
    assert [path.name for path in tmp_path.iterdir()] == ["best.onnx"]


def test_a_file_of_another_kind_is_refused_in_one_line(classifier: Path, detector: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"best\.pt: a classifier is written as \.onnx; .*model\.safetensors opens in"):
        export(classifier, tmp_path / "best.pt")
    with pytest.raises(UserError, match=r"best: a detector is written as \.pt or \.onnx \(see docs/use-the-models\.md"):
        export(detector, tmp_path / "best")
    with pytest.raises(UserError, match="is a model, so --format yolo has no meaning"):
        export(detector, tmp_path / "best.pt", "yolo")
    (tmp_path / "best.pt").touch()
    with pytest.raises(UserError, match=r"best\.pt: exists already"):
        export(detector, tmp_path / "best.pt")


def test_without_the_extra_onnx_one_line_says_what_to_install(
    classifier: Path, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffaug.commands.export.find_spec", lambda name: None)
    for model, packages in ((classifier, "onnx onnxscript"), (detector, "onnx")):
        with pytest.raises(UserError, match=f"is not installed; run `pip install {packages}` ") as caught:
            export(model, tmp_path / "best.onnx")
        assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_model_json_says_how_an_image_is_prepared(classifier: Path, detector: Path) -> None:
    assert load_classifier(classifier, CPU)[1]["preprocessing"] == {
        "colour": "RGB",
        "resize": "stretch",
        "filter": "lanczos",
        "padding": None,
        "multiple_of": None,
        "range": [0.0, 1.0],
        "mean": [0.485, 0.456, 0.406],
        "deviation": [0.229, 0.224, 0.225],
    }
    found = load_detector(detector)[1]["preprocessing"]
    assert (found["resize"], found["filter"], found["padding"], found["multiple_of"]) == (
        "letterbox",
        "bilinear",
        114,
        32,
    )
    assert (found["mean"], found["deviation"]) == ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
