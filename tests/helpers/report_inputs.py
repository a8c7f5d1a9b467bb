"""Metrics and images for the tests of the report."""

from typing import Any

from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record

NORMAL = {"error": 0.01, "freedom": None}

METRICS = {
    "confidence": 0.95,
    "primary": {"cls": "accuracy", "det": "mAP50"},
    "seeds": 3,
    "draws": "own",
    "ratio": 4.0,
    "recipe": {"cls": "synthetic", "det": "duplicate"},
    "added": {"cls": [800, 800, 800], "det": [400, 390, 400]},
    "input": {"cls": "RGB, stretched to 28 x 28 pixels.", "det": "RGB, scaled."},
    "test_images": {"cls": 2000, "det": 300},
    "majority": {"cls": 0.1},
    "weak": {},
    "real": {"cls": {"accuracy": 0.75, "ece": 0.1, "ece_scaled": 0.05}, "det": {"mAP50": 0.5}},
    "cls": {"accuracy": 0.78, "ece": 0.12, "ece_scaled": 0.07},
    "det": {"mAP50": 0.49},
    "delta": {
        "cls": {
            "accuracy": {"mean": 0.03, "low": 0.012, "high": 0.048, "p": 0.001} | NORMAL,
            "ece_scaled": {"mean": 0.02, "low": 0.01, "high": 0.03, "p": 0.02} | NORMAL,
            "ece": {"mean": 0.02, "low": 0.01, "high": 0.03, "p": 0.0001} | NORMAL,
        },
        "det": {"mAP50": {"mean": -0.01, "low": -0.03, "high": 0.01, "p": 0.3} | NORMAL},
    },
}


def picture(id: str, label: int | None = None, **columns: Any) -> Record:
    return make_record(id, encode_png(Image.new("L", (28, 28), 128)), "train", label=label, **columns)
