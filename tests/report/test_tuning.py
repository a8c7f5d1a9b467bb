import csv
from pathlib import Path

import pytest
from PIL import Image

from diffaug.report.tuning import best, point, tuning_table, write_tuning

REAL = [0.70, 0.72, 0.71]
POINTS = [
    point([f"merge.ratio={ratio}"], {"real": REAL, "merged": [one + gain for one in REAL]}, 0.95)
    for ratio, gain in ((2, 0.03), (0.5, 0.01), (4, 0.03))
]


def test_the_interval_of_a_gain_is_that_of_the_seeds() -> None:
    """Both arms vary by 0.01 over three seeds: the error is 0.01 x sqrt(2 / 3), with 4 degrees of freedom t = 2.776."""
    one = POINTS[0].gain
    reach = 2.776 * 0.01 * (2 / 3) ** 0.5
    assert (one.mean, one.low, one.high) == pytest.approx((0.03, 0.03 - reach, 0.03 + reach), abs=1e-5)


def test_the_best_is_the_first_of_equal_ones() -> None:
    assert best(POINTS).name == "merge.ratio=2"


def test_the_table_and_the_curve(tmp_path: Path) -> None:
    assert "| merge.ratio=0.5 | 72.0 | +1.0 | -1.3 to +3.3 |" in tuning_table(POINTS, "cls")
    words = [point(["generate.scheduler=ddim", "a=1"], {"real": REAL, "merged": REAL}, 0.95)]
    for name, points in (("curve", POINTS), ("bars", words)):
        write_tuning(points, "cls", tmp_path / f"{name}.csv", tmp_path / f"{name}.png")
        assert Image.open(tmp_path / f"{name}.png").width > 600
    with (tmp_path / "curve.csv").open(newline="") as handle:
        assert [row["setting"] for row in csv.DictReader(handle)] == [one.name for one in POINTS]
