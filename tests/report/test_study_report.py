import csv
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diffaug.report.study import Run, study_rows, study_table, worth, write_study


def metrics(recipe: str, added: int, mean: float, p: float, det: str | None = None) -> dict[str, Any]:
    """The metrics of a run with a difference of `mean` in both tasks."""
    difference = {"mean": mean, "low": mean - 0.02, "high": mean + 0.02, "p": p, "detectable": 0.03}
    return {
        "confidence": 0.95,
        "seeds": 3,
        "recipe": {"cls": recipe, "det": det or recipe},
        "added": {"cls": added, "det": added // 2},
        "real": {"cls": {"accuracy": 0.7}, "det": {"mAP50_95": 0.2}},
        "cls": {"accuracy": 0.7 + mean},
        "det": {"mAP50_95": 0.2 + mean},
        "delta": {"cls": {"accuracy": difference}, "det": {"mAP50_95": difference}},
    }


RESULTS = [
    (Run("synthetic", 4.0), metrics("synthetic", 800, 0.03, 0.001)),
    (Run("shuffled_labels", 4.0), metrics("shuffled_labels", 800, -0.2, 0.0001)),
    (Run("real_more", 1.0), metrics("real_more", 200, 0.02, 0.02, det="nothing")),
    (Run("real_more", 4.0), metrics("real_more", 800, 0.08, 0.0001, det="nothing")),
]


def test_one_row_a_task_and_run_where_there_was_something_to_add() -> None:
    rows = study_rows(RESULTS)
    assert [(row.task, row.run.recipe, row.added) for row in rows] == [
        ("cls", "synthetic", 800),
        ("cls", "shuffled_labels", 800),
        ("cls", "real_more", 200),
        ("cls", "real_more", 800),
        ("det", "synthetic", 400),
        ("det", "shuffled_labels", 400),
    ]
    assert [row.verdict for row in rows[:4]] == ["helped", "hurt", "helped", "helped"]


def test_p_is_corrected_over_the_whole_table() -> None:
    """Holm over six: 0.0001 three times, 0.001 twice, and 0.02 last, so times one."""
    assert [row.p for row in study_rows(RESULTS)][:4] == pytest.approx([0.003, 0.0006, 0.02, 0.0006])
    weak = [(RESULTS[0][0], metrics("synthetic", 8, 0.03, 0.03)), (RESULTS[1][0], metrics("shuffled_labels", 0, 0, 1))]
    assert study_rows(weak)[0].verdict == "no difference"  # 0.03 times the number of tests is above 0.05


def test_what_the_synthetic_images_were_worth() -> None:
    """3 points, 1 to 5; with extra real images: 0 points at 0, 2 at 200, 8 at 800."""
    rows = study_rows(RESULTS)
    assert (
        worth(rows, "cls") == "classifier accuracy: 800 synthetic images had the effect of 100 to 500 extra real ones"
    )
    assert worth(rows, "det") is None
    much = study_rows([(Run("synthetic", 4.0), metrics("synthetic", 800, 0.09, 0.001)), *RESULTS[2:]])
    assert (worth(much, "cls") or "").endswith("had the effect of 700 to more than 800 extra real ones")
    none = study_rows([(Run("synthetic", 4.0), metrics("synthetic", 800, 0.01, 0.5)), *RESULTS[2:]])
    assert worth(none, "cls") == (
        "classifier accuracy: 800 synthetic images made no visible difference; at most they had the effect of 300 "
        "extra real ones"
    )
    one = study_rows([(run, found | {"seeds": 1}) for run, found in RESULTS])
    assert worth(one, "cls") is None  # one seed has no verdict
    worse = study_rows([(Run("synthetic", 4.0), metrics("synthetic", 800, -0.1, 0.001)), *RESULTS[2:]])
    assert worth(worse, "cls") is None


def test_the_table_and_the_plot(tmp_path: Path) -> None:
    rows = study_rows(RESULTS)
    table = study_table(rows).splitlines()
    assert len(table) == 2 + len(rows)
    assert table[2] == (
        "| classifier accuracy | synthetic | 4 | 800 | 70.0 | 73.0 | +3.0 | +1.0 to +5.0 | 0.003 | helped |"
    )
    for name in ("one", "two"):
        write_study(rows, tmp_path / f"{name}.csv", tmp_path / f"{name}.png")
    with (tmp_path / "one.csv").open(newline="") as handle:
        assert [row["recipe"] for row in csv.DictReader(handle)][:2] == ["synthetic", "shuffled_labels"]
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert Image.open(tmp_path / "one.png").width > 600
