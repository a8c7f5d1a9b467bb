import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_inputs import NORMAL

from diffaug.report.study import Result, first_against_others, study_rows, study_text, write_study
from diffaug.runtime.errors import UserError

RESAMPLES = 400


def result(name: str, recipe: str, mean: float, p: float, det: str | None = None, control: float = 0.7) -> Result:
    """A run with a difference of `mean` in both tasks, the same in every resample."""
    difference = {"mean": mean, "low": mean - 0.02, "high": mean + 0.02, "p": p} | NORMAL
    noise = np.random.default_rng(0).normal(0, 0.01, RESAMPLES)
    columns = {f"{arm}-{seed}": control + mean * (arm == "merged") for arm in ("real", "merged") for seed in (0, 1, 2)}
    rows: list[Mapping[str, str]] = [
        {"sample": label, **{column: str(value + shift) for column, value in columns.items()}}
        for label, shift in [("all", 0.0), *((str(number), shift) for number, shift in enumerate(noise))]
    ]
    details: dict[str, Any] = {
        **{"confidence": 0.95, "seeds": 3, "weak": {}, "primary": {"cls": "accuracy", "det": "mAP50_95"}},
        "recipe": {"cls": recipe, "det": det or recipe},
        "added": {"cls": [800] * 3, "det": [400] * 3},
        "real": {"cls": {"accuracy": control}, "det": {"mAP50_95": 0.2}},
        "cls": {"accuracy": control + mean},
        "det": {"mAP50_95": 0.2 + mean},
        "delta": {"cls": {"accuracy": difference}, "det": {"mAP50_95": difference}},
    }
    return Result(name, details, {"cls": rows, "det": rows})


RESULTS = [
    result("synthetic", "synthetic", 0.03, 0.001),
    result("duplicate", "duplicate", 0.01, 0.03),
    result("wrong", "shuffled_labels", -0.2, 0.0001),
    result("more", "real_more", 0.08, 0.0001, det="nothing"),
    result("longer", "synthetic", 0.02, 0.2, control=0.8),
]


def test_one_row_a_task_and_entry_where_there_was_something_to_add() -> None:
    rows = study_rows(RESULTS)
    assert [(row.task, row.name) for row in rows] == [
        *(("cls", name) for name in ("synthetic", "duplicate", "wrong", "more", "longer")),
        *(("det", name) for name in ("synthetic", "duplicate", "wrong", "longer")),
    ]
    assert [row.verdict for row in rows[:5]] == ["helped", "no difference", "hurt", "helped", "no difference"]


def test_p_is_corrected_for_the_entries_of_a_task_but_not_for_checks() -> None:
    """Holm over four: 0.0001 x 4, 0.001 x 3, 0.03 x 2, 0.2; wrong labels test the comparison, and stay apart."""
    p = {row.name: row.p for row in study_rows(RESULTS) if row.task == "cls"}
    assert p == pytest.approx({"synthetic": 0.003, "duplicate": 0.06, "wrong": 0.0001, "more": 0.0004, "longer": 0.2})


def test_the_first_entry_is_compared_with_all_that_have_its_control() -> None:
    found = {(task, name): difference for task, name, difference in first_against_others(RESULTS)}
    assert list(found) == [
        *(("cls", name) for name in ("duplicate", "wrong", "more")),
        *(("det", name) for name in ("duplicate", "wrong")),
    ]
    assert found["cls", "duplicate"].mean == pytest.approx(0.02)
    # All models move together over the resamples, so nothing is left of their noise in the difference.
    assert found["cls", "duplicate"].high - found["cls", "duplicate"].low < 1e-6


def test_a_weak_model_gets_no_verdict_here_either() -> None:
    weak = result("synthetic", "synthetic", 0.03, 0.001)
    weak.details["weak"] = {"cls": "near chance"}
    assert [row.verdict for row in study_rows([weak])] == ["too weak to say", "helped"]


def test_the_tables_and_the_plot(tmp_path: Path) -> None:
    table = study_text(RESULTS).splitlines()
    assert len(table) == 2 + len(study_rows(RESULTS)) + 3 + 5
    assert table[2] == (
        "| classifier accuracy | synthetic | 800 | 70.0 | 73.0 | +3.0 | +1.0 to +5.0 | 0.003 | helped |"
    )
    assert "| cls | duplicate | +2.0 | +2.0 to +2.0 |" in table
    for name in ("one", "two"):
        write_study(RESULTS, tmp_path / f"{name}.csv", tmp_path / f"{name}.png")
    with (tmp_path / "one.csv").open(newline="") as handle:
        assert [row["entry"] for row in csv.DictReader(handle)][:2] == ["synthetic", "duplicate"]
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert Image.open(tmp_path / "one.png").width > 600


def test_a_study_without_any_difference_ends_with_one_line(tmp_path: Path) -> None:
    """Such as real_more alone, for images without a pool."""
    with pytest.raises(UserError, match="study: no entry had anything to add"):
        write_study([result("more", "nothing", 0.0, 1.0)], tmp_path / "study.csv", tmp_path / "study.png")
