import json
from pathlib import Path

import pytest

from diffaug.report.times import times_table
from diffaug.runtime.errors import UserError


def test_the_longest_stage_comes_first(tmp_path: Path) -> None:
    for name, seconds in (("download", 1.5), ("train_cls-real-0", 70.25)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"seconds": seconds, "peak_memory_mib": 900, "steps": 4}))
    assert [line.split() for line in times_table(tmp_path).splitlines()[:3]] == [
        ["stage", "seconds", "peak", "MiB"],
        ["train_cls-real-0", "70.2", "900"],
        ["download", "1.5", "900"],
    ]
    assert times_table(tmp_path).splitlines()[3].startswith("all                    71.8; models")


def test_no_times_or_damaged_ones_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no times; run `dvc repro` first"):
        times_table(tmp_path)
    (tmp_path / "merge.json").write_text('{"seconds": -1}')
    with pytest.raises(UserError, match=r"merge\.json: seconds: Input should be greater than or equal to 0, found -1"):
        times_table(tmp_path)
