"""The loss caused by corruptions, with networks whose predictions can be computed by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from ultralytics.data.augment import LetterBox
from ultralytics.engine.results import Results

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.evaluation.comparison import Comparison
from diffaug.evaluation.corruptions import Condition, as_seen
from diffaug.evaluation.metrics import ALL, CLEAN
from diffaug.evaluation.robustness import (
    Trial,
    classify_corrupted,
    detect_corrupted,
    summarize,
    with_corrupted,
    write_curves,
)
from diffaug.evaluation.statistics import image_weights
from diffaug.evaluation.tables import TABLES
from diffaug.runtime.tables import read_table

CPU = torch.device("cpu")
CONDITIONS = [Condition(CLEAN, 0), Condition("contrast", 5), Condition("brightness", 1), Condition("brightness", 5)]


class Brightness(nn.Module):
    """Predicts class 1 if the mean of the normalized pixels is above a limit."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, pixels: Tensor) -> Tensor:
        # Back from ImageNet's normalization, whose mean and deviation are near 0.45 and 0.226, to 0-1.
        level = 0.226 * pixels.mean(dim=(1, 2, 3)) + 0.449
        return 100 * torch.stack([self.limit - level, level - self.limit], dim=1)


def grey(levels: list[int], labels: list[int]) -> list[Record]:
    return [
        make_record(f"{number:02d}", encode_png(Image.new("RGB", (32, 32), (level,) * 3)), "test", label=label)
        for number, (level, label) in enumerate(zip(levels, labels))
    ]


def trial(records: list[Record]) -> Trial:
    return Trial(records, CONDITIONS, image_weights(len(records), 50, 0), 0)


def test_a_classifier_by_hand() -> None:
    # Brightness adds a tenth, then half of the range: 60 becomes 86, then 188, so dark images pass the limit of 128.
    bench = trial(grey([60, 60, 200, 200] * 3, [0, 0, 1, 1] * 3))
    models = {"real": [Brightness(0.5)] * 2, "merged": [Brightness(0.99)] * 2}
    runs = classify_corrupted(models, bench, 32, CPU)
    points = {arm: [one.points["accuracy"] for one in runs[arm][0]] for arm in models}
    assert points == {"real": [1, 1, 1, 0.5], "merged": [0.5, 0.5, 0.5, 1 - 0.5 * (200 / 255 + 0.5 < 0.99)]}

    found = summarize(runs, bench, 0.95)
    assert found.images == 12
    assert list(found.corruptions) == [CLEAN, "contrast", "brightness", ALL]
    assert found.corruptions["brightness"].real["accuracy"] == pytest.approx(0.75)
    assert found.corruptions[ALL].real["accuracy"] == pytest.approx((1 + 1 + 0.5) / 3)
    delta = found.corruptions[CLEAN].delta["accuracy"]
    assert delta["mean"] == pytest.approx(-0.5) and delta["low"] < -0.5 < delta["high"] < 0


def test_every_model_sees_the_same_corrupted_images() -> None:
    bench = Trial(grey([100, 150] * 4, [0, 1] * 4), [Condition("gaussian_noise", 5)], np.ones((2, 8)), 0)
    runs = classify_corrupted({"real": [Brightness(0.5)], "merged": [Brightness(0.5)]}, bench, 32, CPU)
    assert runs["real"][0][0].points == runs["merged"][0][0].points


class Bright:
    """Finds the only bright rectangle; answers like Ultralytics' wrapper."""

    def predict(self, images: list[np.ndarray], imgsz: int, **options: object) -> list[SimpleNamespace | Results]:
        found = []
        for image in images:
            assert max(image.shape) <= imgsz  # a large photograph is not corrupted at its own size
            rows, columns = np.nonzero(image[..., 0] > 128)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.9, 0] if len(rows) else []
            found.append(Results(image, "", {0: "square"}, boxes=torch.tensor(box, dtype=torch.float32).reshape(-1, 6)))
        return found


def test_a_detector_by_hand() -> None:
    # The scene is twice the network's size; its boxes are returned in pixels of the scene.
    image = Image.new("RGB", (128, 96))
    image.paste((250, 250, 250), (32, 16, 80, 64))
    record = make_record("a", encode_png(image), "test", bbox=((32.0, 16.0, 48.0, 48.0),), category=(0,))
    bench = Trial([record, record], [Condition(CLEAN, 0), Condition("contrast", 5)], np.ones((5, 2)), 0)
    runs = detect_corrupted({"real": [Bright()], "merged": [Bright()]}, bench, 1, 64, CPU)
    clean, flat = runs["real"][0]
    assert clean.points == {"mAP50_95": pytest.approx(1.0)}
    assert flat.points == {"mAP50_95": 0.0}  # nothing bright is left
    assert clean.resampled["mAP50_95"] == pytest.approx([1.0] * 5)


def test_the_curves_have_a_row_for_every_condition_and_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bench = trial(grey([60, 200] * 5, [0, 1] * 5))
    runs = classify_corrupted({"real": [Brightness(0.5)] * 2, "merged": [Brightness(0.99)] * 2}, bench, 32, CPU)
    write_curves("cls", runs, bench.conditions, 0.95)
    rows = read_table(TABLES / "cls_robustness.csv")
    named = [(row["corruption"], row["severity"], row["metric"]) for row in rows]
    assert named[:2] == [(CLEAN, "0", "accuracy"), (CLEAN, "0", "ece")]
    assert len(rows) == len(CONDITIONS) * 2
    real, low, high, merged, merged_low, merged_high = (float(value) for value in list(rows[0].values())[3:])
    assert (real, low, high) == (1, 1, 1)  # always right
    assert merged_low < merged == 0.5 < merged_high


def test_the_average_over_all_joins_the_answer() -> None:
    bench = trial(grey([60, 200] * 5, [0, 1] * 5))
    runs = classify_corrupted({"real": [Brightness(0.5)] * 2, "merged": [Brightness(0.99)] * 2}, bench, 32, CPU)
    found = summarize(runs, bench, 0.95)
    answer = with_corrupted(Comparison({"accuracy": 1.0}, {"accuracy": 0.5}, {"accuracy": {}}), found)
    assert list(answer.real) == list(answer.merged) == list(answer.delta)
    assert list(answer.real) == ["accuracy", "corrupted_accuracy", "corrupted_ece"]
    assert answer.delta["corrupted_accuracy"] == found.corruptions[ALL].delta["accuracy"]


@pytest.mark.parametrize("size", [(101, 67), (67, 101), (64, 64), (30, 20), (300, 2)])
def test_detectors_are_shown_what_ultralytics_would_show_them(size: tuple[int, int]) -> None:
    """Images larger and smaller than the network's 64 pixels: the library's own scaling, without its grey border."""
    pixels = np.random.default_rng(0).integers(256, size=(*size, 3), dtype=np.uint8)
    seen = as_seen(pixels, 64)
    boxed = LetterBox((64, 64), auto=False)(image=pixels)
    top, left = ((64 - side) // 2 for side in seen.shape[:2])
    # With an odd number of grey rows or columns, the library's rounding decides the side of the extra one.
    places = [boxed[y : y + seen.shape[0], x : x + seen.shape[1]] for y in (top, top + 1) for x in (left, left + 1)]
    assert any(np.array_equal(one, seen) for one in places)


def test_a_batch_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ultralytics drops the boxes of a large batch that takes too long."""
    sizes = []

    class Counting(Bright):
        def predict(self, images: list[np.ndarray], imgsz: int, **options: object) -> list[SimpleNamespace | Results]:
            sizes.append(len(images))
            return super().predict(images, imgsz, **options)

    record = make_record("a", encode_png(Image.new("RGB", (64, 64), (200, 0, 0))), "test")
    bench = Trial([record], [Condition("contrast", 1)] * 19, np.ones((2, 1)), 0)
    detect_corrupted({"real": [Counting()], "merged": []}, bench, 1, 64, CPU)
    assert sum(sizes) == 19 and max(sizes) <= 8
