"""The study's plan."""

from pathlib import Path

import pytest
from paths import ROOT

from diffaug.commands.study import plan_study
from diffaug.commands.use import use_preset
from diffaug.params import Params, load_params
from diffaug.runtime.errors import UserError

PARAMS = load_params(ROOT / "params.yaml")


def test_the_default_asks_for_every_recipe_and_its_entries_can_be_run() -> None:
    runs = plan_study(PARAMS)
    assert [run.name for run in runs] == list(PARAMS.study)
    assert len({run.reference for run in runs}) == len(runs)
    asked = " ".join(assignment for run in runs for assignment in run.assignments)
    for recipe in ("unfiltered", "duplicate", "classic", "vae_roundtrip", "shuffled_labels", "real_more"):
        assert f"merge.recipe={recipe}" in asked


def test_a_study_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="study: nothing is named"):
        plan_study(PARAMS.model_copy(update={"study": {}}))


def with_preset(preset: Path, folder: Path) -> Params:
    file = folder / "params.yaml"
    file.write_bytes((ROOT / "params.yaml").read_bytes())
    use_preset(preset, [], file)
    return load_params(file)


PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_the_entries_can_be_run_with_every_preset(preset: Path, tmp_path: Path) -> None:
    assert plan_study(with_preset(preset, tmp_path))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_twice_the_steps_are_twice_those_of_the_preset(preset: Path, tmp_path: Path) -> None:
    params = with_preset(preset, tmp_path)
    for times in (2, 4):
        wanted = {
            f"train_{task}.steps={times * getattr(params, f'train_{task}').steps}"
            for task in ("cls", "det")
            if getattr(params.download, task)
        }
        assert set(params.study[f"steps_x{times}"]) == wanted


def test_an_entry_that_cannot_be_run_says_what_to_do() -> None:
    with pytest.raises(
        UserError, match=r"study: a: .*merge\.ratio 9 needs.*; change this entry of study, or remove it"
    ):
        plan_study(PARAMS.model_copy(update={"study": {"a": ["merge.ratio=9"]}}))
