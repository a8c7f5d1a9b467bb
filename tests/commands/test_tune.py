"""The grid of `diffaug tune`, and what it refuses."""

from collections.abc import Sequence

import pytest
from default_params import params

import diffaug.commands.tune
from diffaug.commands.experiments import Experiment
from diffaug.commands.tune import fresh_seeds, plan_grid, tune
from diffaug.report.tuning import point
from diffaug.runtime.errors import UserError


def test_the_grid_is_every_combination() -> None:
    assert plan_grid(["merge.ratio=0.5,1", "generate.scheduler=ddim,euler_a"]) == [
        ("merge.ratio=0.5", 'generate.scheduler="ddim"'),
        ("merge.ratio=0.5", 'generate.scheduler="euler_a"'),
        ("merge.ratio=1", 'generate.scheduler="ddim"'),
        ("merge.ratio=1", 'generate.scheduler="euler_a"'),
    ]
    assert plan_grid(["a.strength=[0.4, 0.6],0.5"]) == [("a.strength=[0.4, 0.6]",), ("a.strength=0.5",)]


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (["merge.ratio"], r"'merge\.ratio' is not KEY=VALUE,VALUE,\.\.\."),
        (["merge.ratio="], r"'merge\.ratio=' is not KEY=VALUE"),
        (["merge.ratio=1,1"], "each value once"),
        (["merge.ratio=1,1.0"], "each value once"),
        (["merge.ratio=[1"], "is not KEY=VALUE"),
        (["merge.ratio=1,2", "merge.ratio=3"], "merge.ratio is given twice"),
        (["merge.ratio=1"], "1 settings; give 2 to 200"),
        (
            [f"seeds=[{','.join(map(str, range(3)))}],[0]", f"merge.ratio={','.join(map(str, range(150)))}"],
            "300 settings",
        ),
    ],
)
def test_axes_that_are_no_grid_are_refused(axes: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        plan_grid(axes)


def test_a_setting_that_cannot_be_run_is_said_before_anything_runs() -> None:
    with pytest.raises(UserError, match=r"tune: cls: .*merge\.ratio 9 needs"):
        tune(params(), ["merge.ratio=1,9"], None)


def test_the_choice_is_measured_with_seeds_that_chose_nothing() -> None:
    assert fresh_seeds([0, 1, 2]) == [3, 4, 5] and fresh_seeds([7, 2]) == [8, 9]


def test_a_task_that_is_null_cannot_decide() -> None:
    with pytest.raises(UserError, match=r"tune: download\.det is null"):
        tune(params(download={"det": None}, filter={}), ["merge.ratio=1,2"], "det")


@pytest.mark.parametrize("axis", ["seeds=[0],[1]", "download.seed=0,1", "evaluate.tried=1,2", "evaluate.seed=0,1"])
def test_seeds_images_and_the_evaluation_are_no_settings_to_tune(axis: str) -> None:
    with pytest.raises(UserError, match=f"tune: {axis.partition('=')[0]} cannot be tuned.*name a key of draws"):
        tune(params(), [axis], None)


@pytest.mark.parametrize(("before", "tried"), [(1, 3), (4, 6)])
def test_settings_of_an_earlier_grid_still_count(monkeypatch: pytest.MonkeyPatch, before: int, tried: int) -> None:
    asked: list[Experiment] = []

    def run_all(experiments: Sequence[Experiment], given: object) -> list[str]:
        asked.extend(experiments)
        if len(experiments) == 1:
            raise UserError("enough")
        return [one.name for one in experiments]

    monkeypatch.setattr(diffaug.commands.tune, "run_all", run_all)
    monkeypatch.setattr(diffaug.commands.tune, "write_tuning", lambda *given: None)
    monkeypatch.setattr(
        diffaug.commands.tune,
        "_point",
        lambda trial, *given: point(trial.assignments, {"real": [0.5, 0.5], "merged": [0.5, 0.5]}, 0.95),
    )
    with pytest.raises(UserError, match="enough"):
        tune(params(evaluate={"tried": before}), ["merge.ratio=1,2,4"], None)
    assert asked[-1].assignments == ("merge.ratio=1", "seeds=[3, 4, 5]", f"evaluate.tried={tried}")
