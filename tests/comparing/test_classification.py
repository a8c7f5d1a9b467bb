"""The numbers of the classifiers, by hand and under weights."""

from pathlib import Path

import numpy as np
import pytest

from diffaug.comparing.classification import TrueClasses, cls_lines, measure_classifier, read_true_classes
from diffaug.runtime.tables import write_table

NAMES = ["cat", "dog", "owl"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Of four cats three are right, of two dogs one; there is no owl. The rows are not in the order of the ids."""
    predicted = {"d": ("cat", 1), "a": ("cat", 0), "c": ("cat", 0), "b": ("cat", 0), "f": ("dog", 0), "e": ("dog", 1)}
    rows = [[one, label, *np.roll([0.8, 0.1, 0.1], place)] for one, (label, place) in predicted.items()]
    write_table(tmp_path / "a.csv", ["id", "label", *NAMES], rows)
    return tmp_path / "a.csv"


def measure(table: Path, test: TrueClasses, weights: list[list[float]]) -> dict[str, list[float]]:
    """Each metric on the test set, then in each resample."""
    found = measure_classifier(table, test, None, np.array(weights, dtype=float))
    return {name: [found.points[name], *found.resampled[name]] for name in found.points}


def test_the_metrics_by_hand(table: Path) -> None:
    test = read_true_classes(table, None, None)
    found = measure(table, test, [[1] * 6, [0, 0, 0, 6, 0, 0], [1, 0, 0, 1, 2, 2]])
    assert found["accuracy"] == pytest.approx([4 / 6, 4 / 6, 0, 3 / 6])
    assert found["accuracy of cat"] == pytest.approx([3 / 4, 3 / 4, 0, 1 / 2])
    assert found["accuracy of dog"] == pytest.approx([1 / 2, 1 / 2, np.nan, 1 / 2], nan_ok=True)
    assert found["macro F1"][0] == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert found["ECE (lower is better)"][0] == pytest.approx(0.8 - 4 / 6)


def test_the_lines_and_their_images(table: Path) -> None:
    lines = {line.title: line.images for line in cls_lines(read_true_classes(table, None, None))}
    whole = dict.fromkeys(["accuracy", "macro F1", "ECE (lower is better)"], 6)
    assert lines == whole | {"accuracy of cat": 4, "accuracy of dog": 2}
    assert list(lines) == [*whole, "accuracy of cat", "accuracy of dog"]


def test_the_order_of_rows_and_columns_changes_nothing(table: Path) -> None:
    test = read_true_classes(table, None, None)
    head, *rows = [line.split(",") for line in table.read_text().splitlines()]
    other = table.with_name("b.csv")
    order = [4, 0, 3, 2]  # owl, id, dog, cat
    other.write_text("\n".join(",".join(row[place] for place in order) for row in [head, *sorted(rows)]))
    weights = np.random.default_rng(0).integers(0, 3, (5, 6)).tolist()
    assert str(measure(other, test, weights)) == str(measure(table, test, weights))


def test_the_labels_of_another_table(table: Path) -> None:
    truth = table.with_name("truth.csv")
    truth.write_text("id,label\n" + "".join(f"{one},cat\n" for one in "abcdef"))
    table.write_text("".join(",".join(line.split(",")[:1] + line.split(",")[2:]) for line in table.open()))
    test = read_true_classes(table, truth, None)
    assert set(test.labels.values()) == {"cat"} and test.source == truth
    assert measure(table, test, [[1] * 6])["accuracy"][0] == pytest.approx(4 / 6)
