import shutil
from pathlib import Path

import pytest
import yaml
from paths import ROOT

from diffaug.commands.use import params_with, use_preset
from diffaug.params import load_params
from diffaug.params.download import Folder
from diffaug.runtime.errors import UserError

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml"))


def preset(folder: Path, text: str) -> Path:
    (folder / "preset.yaml").write_text(text)
    return folder / "preset.yaml"


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_gives_valid_params(path: Path, params: Path) -> None:
    assert use_preset(path, [], params)
    load_params(params)
    assert use_preset(path, [], params) == []  # the second time changes nothing


def test_a_preset_can_be_read_without_being_used(params: Path, tmp_path: Path) -> None:
    before = params.read_bytes()
    assert params_with(preset(tmp_path, "merge: {ratio: 2.5}"), params).merge.ratio == 2.5
    with pytest.raises(UserError, match=r"params\.yaml with .*preset\.yaml: merge\.ratio: found -1"):
        params_with(preset(tmp_path, "merge: {ratio: -1}"), params)
    assert params.read_bytes() == before and sorted(tmp_path.iterdir()) == [params, tmp_path / "preset.yaml"]


@pytest.mark.parametrize("value", ["0.00001", "0.5", "1.0", "0.0000025"])
def test_small_numbers_stay_numbers(params: Path, tmp_path: Path, value: str) -> None:
    use_preset(preset(tmp_path, f"train_det: {{learning_rate: {value}}}"), [f"train_cls.learning_rate={value}"], params)
    found = load_params(params)
    assert found.train_det.learning_rate == found.train_cls.learning_rate == float(value)
    assert params.read_text().count(f"learning_rate: {value}") >= 2


def test_only_what_the_preset_says_changes_and_comments_stay(params: Path, tmp_path: Path) -> None:
    before = params.read_text().splitlines()
    changed = use_preset(
        preset(tmp_path, "merge: {ratio: 2.5}"), ["train_det.steps=180", "train_cls.weights=null"], params
    )
    after = params.read_text().splitlines()
    assert changed == ["merge.ratio", "train_det.steps"]
    different = [(old, new) for old, new in zip(before, after) if old != new]
    assert len(before) == len(after)
    assert [new.split("#")[0].strip() for _, new in different] == ["ratio: 2.5", "steps: 180"]
    assert all(old.partition("#")[2] == new.partition("#")[2] for old, new in different)


def test_a_key_that_is_set_twice_is_listed_once(params: Path, tmp_path: Path) -> None:
    changed = use_preset(preset(tmp_path, "merge: {ratio: 2.5}"), ["merge.ratio=3.5", "merge.ratio=1.5"], params)
    assert changed == ["merge.ratio"]
    assert yaml.safe_load(params.read_text())["merge"]["ratio"] == 1.5


def test_another_folder_leaves_no_key_of_the_one_before(params: Path, tmp_path: Path) -> None:
    """limit_per_class and the numbers by class belong to the other images."""
    first = "download: {cls: {source: folder, path: a, limit_per_class: 5, val_fraction: 0.2, test_fraction: 0.2}}\n"
    rest = "train_gen: {images: real/cls/train}\nmerge: {on_shortage: lower}\n"
    use_preset(preset(tmp_path, first + rest + "generate: {cls: {per_class: {cat: 1, dog: 2}}}\n"), [], params)
    second = "download: {cls: {source: folder, path: b, val_fraction: 0.2, test_fraction: 0.2}}\n"
    use_preset(preset(tmp_path, second + "generate: {cls: {per_class: {cow: 3}}}\n"), ["download.det=null"], params)
    found = load_params(params)
    assert isinstance(found.download.cls, Folder) and found.download.cls.limit_per_class is None
    assert found.generate.cls.per_class == {"cow": 3}


def test_another_source_replaces_the_old_one(params: Path, tmp_path: Path) -> None:
    text = "download: {det: {source: folder, path: photos, val_fraction: 0.2, test_fraction: 0.2}}"
    use_preset(preset(tmp_path, text), [], params)
    det = yaml.safe_load(params.read_text())["download"]["det"]
    assert det == {"source": "folder", "path": "photos", "val_fraction": 0.2, "test_fraction": 0.2}


def test_another_model_leaves_no_revision_of_the_one_before(params: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("train_gen: {lora: {model: {name: ./sd.safetensors}}}\n", encoding="utf-8")
    use_preset(tmp_path / "own.yaml", [], params)
    assert yaml.safe_load(params.read_text())["train_gen"]["lora"]["model"] == {"name": "./sd.safetensors"}
    use_preset(tmp_path / "own.yaml", [f"train_gen.lora.model={{name: a/b, revision: {'a' * 40}}}"], params)
    use_preset(tmp_path / "own.yaml", ["train_gen.lora.model.name=./sd.safetensors"], params)  # the same name: merged
    assert "revision" not in yaml.safe_load(params.read_text())["train_gen"]["lora"]["model"]


def test_what_goes_takes_no_comment_of_what_comes_next(params: Path) -> None:
    def notes() -> list[str]:
        return [line.strip() for line in params.read_text().splitlines() if line.strip().startswith("#")]

    before = notes()
    use_preset(ROOT / "presets/bccd.yaml", [], params)
    assert notes() == before
    lines = params.read_text().splitlines()
    banner = next(number for number, line in enumerate(lines) if line.startswith("# Which synthetic images"))
    assert any(line.strip().startswith("inpaint_object:") for line in lines[:banner])  # a new key, above the rest


@pytest.mark.parametrize(
    ("text", "assignments", "message"),
    [
        ("merge: {ratio: -1}", [], r"params\.yaml with .*preset\.yaml: merge\.ratio"),
        ("merge: {ratoi: 1}", [], "ratoi"),
        ("merge: [", [], r"preset\.yaml: not readable as YAML"),
        ("hello", [], "expected sections of params.yaml"),
        ("merge: {ratio: 1.0}", ["train_det.steps"], "is not KEY=VALUE"),
    ],
)
def test_what_would_not_be_valid_changes_nothing(
    params: Path, tmp_path: Path, text: str, assignments: list[str], message: str
) -> None:
    before = params.read_bytes()
    with pytest.raises(UserError, match=message) as caught:
        use_preset(preset(tmp_path, text), assignments, params)
    assert "\n" not in str(caught.value)
    assert params.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"params.yaml", "preset.yaml"}
