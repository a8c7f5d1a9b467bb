"""The benchmark of draws, from merged sets to its table."""

import sys
from pathlib import Path

import numpy as np
import pytest
from default_params import params
from paths import ROOT
from sets import NAMES, made, noise, real

from diffaug.dataset.records import write_set
from diffaug.evaluation.comparison import Measured

sys.path.append(str(ROOT / "benchmarks"))

import draws

TINY = {"image_size": 16, "steps": 2, "batch_size": 4, "eval_every": 2}


@pytest.mark.slow
def test_models_are_trained_on_each_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / ".work"))
    for place, split in enumerate(("train", "val", "test")):
        records = [real(f"{split}{one}", noise(100 * place + one), split, one % 2) for one in range(12)]
        write_set(Path(f"data/real/cls/{split}"), NAMES, records)
    write_set(
        Path("data/merged/7/cls/train"), NAMES, [made(f"made{one}", noise(1000 + one), one % 2) for one in range(12)]
    )
    tiny = params(train_cls=TINY, evaluate={"resamples": 100})
    controls, draw = draws.train(tiny, [7], models=2, controls=1)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / ".work/draws").iterdir()}
    assert len(kept) == 3
    again = draws.train(tiny, [7], models=2, controls=1)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert [one.points for each in again for one in each] == [one.points for one in (*controls, *draw)]
    draws.train(tiny, [7], models=2, controls=2)  # a further control alone
    assert len(list((tmp_path / ".work/draws").iterdir())) == 4
    write_set(Path("data/real/cls/test"), NAMES, [real("other", noise(5000), "test", 0)])
    draws.train(tiny, [7], models=2, controls=1)
    assert len(list((tmp_path / ".work/draws").iterdir())) == 7  # all of them again
    assert (len(controls), len(draw)) == (1, 2)
    for one in (*controls, *draw):
        assert 12 * one.points["accuracy"] == pytest.approx(round(12 * one.points["accuracy"]))  # of 12 test images
        assert one.resampled["accuracy"].shape == (100,)


def test_the_table_has_shared_and_own_draws(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        [Measured({"accuracy": one}, {"accuracy": np.full(2, one)}) for one in (middle, middle + 0.001, middle + 0.002)]
        for middle in (0.5, 0.2, 0.4, 0.6, 0.8)  # the controls first
    ]
    monkeypatch.setattr(draws, "train", lambda *_: found)
    monkeypatch.setattr(draws, "load_params", lambda: params(draws="own", seeds=list(range(6))))
    monkeypatch.setattr(sys, "argv", ["draws.py", "--controls", "3", "--choices", "50"])
    draws.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 draws, 3 models each: accuracy 50.10 %, deviation of the draws 25.82 points")
    rows = {line.split(" | ")[0]: line.split(" | ")[1:] for line in lines[-2:]}
    assert float(rows["| shared"][0]) < 0.1 and float(rows["| own"][0]) > 0.9


def test_too_few_draws_are_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(draws, "load_params", lambda: params(draws="shared"))
    monkeypatch.setattr(sys, "argv", ["draws.py"])
    with pytest.raises(SystemExit):
        draws.main()
    assert "draws: shared and 3 seeds; set draws: own and 6 seeds or more" in capsys.readouterr().err
