import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from paths import ROOT

from diffaug.commands import preset as module
from diffaug.commands.preset import prepare
from diffaug.commands.use import use_preset
from diffaug.params import load_params
from diffaug.runtime.errors import UserError
from diffaug.runtime.work import hold, work_folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the preset's folder is copied from; code is not needed here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIFFAUG_WORK", raising=False)
    for name in ("diffaug", "stages", "prompts", "pretrained", "presets", "photos"):
        (tmp_path / name).mkdir()
    for name in ("dvc.yaml", ".dvcignore", "params.yaml", "presets/quick.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def test_the_preset_is_laid_over_a_copy(root: Path) -> None:
    before = (root / "params.yaml").read_bytes()
    folder = prepare("quick")
    assert folder == Path(".work/presets/quick")
    assert (root / "params.yaml").read_bytes() == before
    assert load_params(folder / "params.yaml").seeds == [0]
    assert "# for drawing the splits" in (folder / "params.yaml").read_text()  # comments are kept
    config = (folder / ".dvc/config").read_text()
    assert "no_scm = true" in config and (root / ".dvc/cache").as_posix() in config


def test_paths_of_the_users_own_files_still_lead_to_them(root: Path) -> None:
    (root / "models").mkdir()
    (root / "models/w.safetensors").write_bytes(b"")
    (root / "models/generator").mkdir()
    (root / "mine.yaml").write_text(
        "download: {unseen_by: null, cls: {source: folder, path: ./photos, val_fraction: 0.2, test_fraction: 0.3}}\n"
        "train_gen: {method: scratch, images: real/cls/train}\ngenerate: {model: {name: models/generator}}\n"
        "train_cls: {weights: models/w.safetensors}\n"
    )
    found = yaml.safe_load((prepare("mine.yaml") / "params.yaml").read_text())
    assert found["download"]["cls"]["path"] == (root / "photos").as_posix()
    assert found["train_cls"]["weights"] == (root / "models/w.safetensors").as_posix()
    assert found["train_gen"]["images"] == "real/cls/train"
    assert found["generate"]["model"] == {"name": "models/generator"}


@pytest.mark.parametrize(("stage", "last"), [(None, ["verdict"]), ("train_gen", ["repro", "train_gen"])])
def test_a_stage_is_where_the_run_ends(
    root: Path, monkeypatch: pytest.MonkeyPatch, stage: str | None, last: list[str]
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(module, "run_to_its_end", lambda command, *_: ran.append(command) or 0)
    said = module.run_preset("quick", stage)
    assert ran[0][-1] == "check" and ran[-1][-len(last) :] == last
    assert said.endswith("with what train_gen made") == (stage is not None)


def test_own_pictures_with_captions_are_copied(root: Path) -> None:
    """They are named by their place in the project, which DVC watches there too."""
    (root / "data/own/style").mkdir(parents=True)
    (root / "data/own/style/a.txt").write_text("a cat")
    assert (prepare("quick") / "data/own/style/a.txt").read_text() == "a cat"
    (root / "data/own/style/a.txt").unlink()
    assert not (prepare("quick") / "data/own/style/a.txt").exists()


def test_an_edit_of_the_code_reaches_the_copy(root: Path) -> None:
    prepare("quick")
    (root / "stages/new.py").write_text("1")
    assert (prepare("quick") / "stages/new.py").exists()


def test_an_unknown_preset_is_one_line(root: Path) -> None:
    with pytest.raises(UserError, match=r"no preset 'fast'; give the path of a \.yaml file, or one of quick"):
        prepare("fast")
    (root / "bad.yaml").write_text("merge: {ratio: -1}")
    with pytest.raises(UserError, match=r"params\.yaml with bad\.yaml: merge\.ratio: found -1"):
        prepare("bad.yaml")


def test_a_second_run_of_the_same_preset_waits(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It would replace the code of the first one while its stages are read."""
    first = hold(work_folder("presets") / "quick.lock")
    code = "from diffaug.commands import preset; preset.run_to_its_end = lambda *_: 7; preset.run_preset('quick')"
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        said, end = "", time.monotonic() + 120
        while "another run uses this; waiting" not in said:
            said += capfd.readouterr().err
            assert process.poll() is None and time.monotonic() < end, said
            time.sleep(0.05)
        assert not (root / ".work/presets/quick").exists()
        first.release()
        assert process.wait(timeout=120) == 7  # of the first step, which it then takes
        assert (root / ".work/presets/quick/params.yaml").exists()
    finally:
        process.kill()


def test_quick_runs_the_example_whatever_the_users_own_images_are(root: Path) -> None:
    (root / "mine.yaml").write_text(
        "download:\n  cls: null\n  det: {source: folder, path: photos, val_fraction: 0.2, test_fraction: 0.3}\n"
        "train_gen: {images: real/det/train}\n"
    )
    use_preset(root / "mine.yaml", [])
    found = load_params(prepare("quick") / "params.yaml").download
    assert (found.cls.source, found.det.source) == ("fashion_mnist", "scenes")  # type: ignore[union-attr]
