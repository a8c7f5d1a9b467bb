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

from diffaug.classifier.predicting import predict_logits
from diffaug.dataset.codec import encode_png, to_rgb_array
from diffaug.dataset.records import Record, make_record
from diffaug.detector.detections import Detections
from diffaug.detector.predicting import detect_arrays
from diffaug.evaluation.classification import ClsPredictions
from diffaug.evaluation.comparison import Comparison
from diffaug.evaluation.corruptions import Condition, as_seen
from diffaug.evaluation.detection import DetPredictions
from diffaug.evaluation.metrics import ALL, CLEAN
from diffaug.evaluation.robustness import (
    Runs,
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


def trial(records: list[Record], conditions: list[Condition] = CONDITIONS) -> Trial:
    return Trial(range(len(records)), records, conditions, image_weights(len(records), 50, 0), 0)


def classify(models: dict[str, list[Brightness]], bench: Trial, size: int = 32) -> Runs:
    """The runs, with the predictions on unchanged images that evaluate has made before."""
    pixels = torch.stack([torch.tensor(to_rgb_array(one.open(), size)).permute(2, 0, 1) for one in bench.records])
    labels = torch.tensor([record.label for record in bench.records])
    clean = {
        arm: [ClsPredictions(predict_logits(one, pixels).softmax(dim=1), labels) for one in of_arm]
        for arm, of_arm in models.items()
    }
    return classify_corrupted(models, clean, bench, size, CPU)


def test_a_classifier_by_hand() -> None:
    # Brightness adds a tenth, then half of the range: 60 becomes 86, then 188, so dark images pass the limit of 128.
    bench = trial(grey([60, 60, 200, 200] * 3, [0, 0, 1, 1] * 3))
    models = {"real": [Brightness(0.5)] * 2, "merged": [Brightness(0.99)] * 2}
    runs = classify(models, bench)
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
    bench = trial(grey([100, 150] * 4, [0, 1] * 4), [Condition(CLEAN, 0), Condition("gaussian_noise", 5)])
    runs = classify({"real": [Brightness(0.5)], "merged": [Brightness(0.5)]}, bench)
    assert runs["real"][0][1].points == runs["merged"][0][1].points


def test_the_unchanged_images_are_not_predicted_again() -> None:
    """Their values are those of the predictions on the whole test set, at the places of the chosen images."""
    records = grey([60, 60, 200, 200], [0, 1, 1, 1])
    whole = ClsPredictions(torch.tensor([[0.9, 0.1]] * 2 + [[0.1, 0.9]] * 2), torch.tensor([0, 1, 1, 1]))
    seen: list[int] = []

    class Counting(Brightness):
        def forward(self, pixels: Tensor) -> Tensor:
            seen.append(len(pixels))
            return super().forward(pixels)

    places = [0, 1, 3]
    bench = Trial(places, [records[one] for one in places], CONDITIONS, np.ones((2, 3)), 0)
    runs = classify_corrupted({"real": [Counting(0.5)], "merged": []}, {"real": [whole], "merged": []}, bench, 32, CPU)
    assert sum(seen) == 3 * (len(CONDITIONS) - 1)
    assert runs["real"][0][0].points["accuracy"] == pytest.approx(2 / 3)


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
    bench = Trial([0, 1], [record, record], [Condition(CLEAN, 0), Condition("contrast", 5)], np.ones((5, 2)), 0)
    found = Detections(np.array([[32, 16, 80, 64]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    clean = DetPredictions([found, found], [record, record], 1)
    models = {"real": [Bright()], "merged": [Bright()]}
    runs = detect_corrupted(models, {arm: [clean] for arm in models}, bench, 64, CPU)
    clean, flat = runs["real"][0]
    assert clean.points == {"mAP50_95": pytest.approx(1.0)}
    assert flat.points == {"mAP50_95": 0.0}  # nothing bright is left
    assert clean.resampled["mAP50_95"] == pytest.approx([1.0] * 5)


def test_the_curves_have_a_row_for_every_condition_and_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bench = trial(grey([60, 200] * 5, [0, 1] * 5))
    runs = classify({"real": [Brightness(0.5)] * 2, "merged": [Brightness(0.99)] * 2}, bench)
    write_curves("cls", runs, bench.conditions, 0.95)
    rows = read_table(TABLES / "cls_robustness.csv")
    named = [(row["corruption"], row["severity"], row["metric"]) for row in rows]
    assert named[:2] == [(CLEAN, "0", "accuracy"), (CLEAN, "0", "ece_scaled")]
    assert len(rows) == len(CONDITIONS) * 2
    real, low, high, merged, merged_low, merged_high = (float(value) for value in list(rows[0].values())[3:])
    assert (real, low, high) == (1, 1, 1)  # always right
    assert merged_low < merged == 0.5 < merged_high


def test_the_average_over_all_joins_the_answer() -> None:
    bench = trial(grey([60, 200] * 5, [0, 1] * 5))
    runs = classify({"real": [Brightness(0.5)] * 2, "merged": [Brightness(0.99)] * 2}, bench)
    found = summarize(runs, bench, 0.95)
    answer = with_corrupted(Comparison({"accuracy": 1.0}, {"accuracy": 0.5}, {"accuracy": {}}), found)
    assert list(answer.real) == list(answer.merged) == list(answer.delta)
    assert list(answer.real) == ["accuracy", "corrupted_accuracy", "corrupted_ece_scaled"]
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


def test_a_batch_is_small_and_holds_images_of_one_size() -> None:
    """Ultralytics drops the boxes of a large batch that takes too long, and pads images of different sizes."""
    sizes = []

    class Counting(Bright):
        def predict(self, images: list[np.ndarray], imgsz: int, **options: object) -> list[SimpleNamespace | Results]:
            assert len({image.shape for image in images}) == 1
            sizes.append(len(images))
            return super().predict(images, imgsz, **options)

    wide, high = (np.zeros(shape, np.uint8) for shape in ((32, 64, 3), (64, 32, 3)))
    wide[4:9, 10:20], high[10:20, 4:9] = 250, 250
    found = detect_arrays(Counting(), [wide, high] * 20, 64, CPU)
    assert sum(sizes) == 40 and max(sizes) <= 16
    assert [one.boxes.tolist() for one in found] == [[[10, 4, 20, 9]], [[4, 10, 9, 20]]] * 20
