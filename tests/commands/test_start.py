"""`diffaug start`: from a folder to a preset that params.yaml accepts, whatever the folder is like."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from paths import ROOT
from photos import WRITERS, two_hundred
from PIL import Image, ImageDraw

from diffaug.commands import estimate
from diffaug.commands import start as command
from diffaug.commands.start import start
from diffaug.commands.study import plan_study
from diffaug.commands.use import lay_over
from diffaug.params import Params, load_params
from diffaug.runtime.errors import UserError


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    monkeypatch.setattr(command, "speed", lambda: 1.0)  # the test of the probe is its own


def classes(root: Path, counts: dict[str, int]) -> Path:
    """Class folders of random pictures of 40 pixels."""
    generator = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:03d}.png")
    return root


def started(*paths: Path, gpu: bool = False, minutes: float | None = None) -> tuple[Params, str]:
    """The params with the preset, and its text."""
    out = Path("own.yaml")
    start(paths[0], paths[1] if len(paths) > 1 else None, out, gpu, minutes)
    text, _ = lay_over(Path("params.yaml"), out, [])
    Path("checked.yaml").write_text(text, encoding="utf-8")
    return load_params(Path("checked.yaml")), out.read_text(encoding="utf-8")


def test_folders_of_classes(tmp_path: Path) -> None:
    params, text = started(classes(tmp_path / "photos", {"cat": 20, "dog": 20}))
    assert params.download.det is None and params.download.strict
    assert (params.train_gen.method, params.train_gen.images) == ("scratch", "real/cls/train")
    assert params.generate.cls.per_class == 10 and params.merge.ratio == 1.0  # half of 20 are train
    said = " ".join(text.replace("# ", "").split())
    assert "expect no gain" in said and "only 12 test images" in said and "expected: about" in said
    assert "from a train image to the nearest val or test image usually" in said
    assert params.filter.cls.hash is not None and params.filter.cls.hash.min_heldout == "auto"
    assert "the nearest val or test image of a train image is usually at" in said


def test_fewer_minutes_mean_fewer_steps(tmp_path: Path) -> None:
    photos = classes(tmp_path / "photos", {"cat": 20, "dog": 20})
    usual, _ = started(photos)
    Path("own.yaml").unlink()
    params, text = started(photos, minutes=5)
    said = re.search(r"expected: about (\d+) minutes", text)
    assert said is not None and 4 <= int(said[1]) <= 6
    assert params.train_cls.steps < usual.train_cls.steps and params.train_cls.steps % params.train_cls.eval_every == 0
    assert params.train_gen.scratch.unet.steps < usual.train_gen.scratch.unet.steps
    assert "% of the usual number, for the time asked for" in " ".join(text.split())
    Path("own.yaml").unlink()
    params, text = started(photos, minutes=100_000)
    assert params == usual


def test_the_study_of_ones_own_images_can_be_run(tmp_path: Path) -> None:
    params, _ = started(classes(tmp_path / "photos", {"cat": 20, "dog": 20}))
    runs = {run.name: run.assignments for run in plan_study(params)}
    steps = params.train_cls.steps
    assert runs["steps_x2"] == (f"train_cls.steps={2 * steps}",) and runs["steps_x4"] == (
        f"train_cls.steps={4 * steps}",
    )
    assert "train_alone" not in runs and "pasted_real" not in runs


def test_minutes_of_a_gpu_are_unknown(tmp_path: Path) -> None:
    photos = classes(tmp_path / "photos", {"cat": 20, "dog": 20})
    with pytest.raises(UserError, match="--minutes: the time on a GPU is unknown"):
        started(photos, gpu=True, minutes=10)


def test_classes_of_20_and_400_are_filled_up(tmp_path: Path) -> None:
    params, _ = started(classes(tmp_path / "photos", {"cat": 20, "dog": 400}))
    assert params.generate.cls.per_class == "balance"
    assert (params.merge.ratio, params.merge.target) == (None, "balance")


@pytest.mark.parametrize("format", WRITERS)
def test_images_with_boxes(tmp_path: Path, format: str) -> None:
    params, text = started(WRITERS[format](tmp_path / "boxes", two_hundred()))
    assert params.download.cls is None
    assert params.generate.det.per_real == 1.0
    assert "train 118, val 41, test 41 images" in text


def test_what_can_be_cut_out_is_pasted_and_nothing_is_drawn(tmp_path: Path) -> None:
    """Bright discs on a dark ground."""
    root = tmp_path / "boxes"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number in range(20):
        image = Image.effect_noise((96, 96), 20 + number).convert("RGB")
        ImageDraw.Draw(image).ellipse([30, 30, 60, 60], fill=(250, 200, 40))
        image.save(root / "images" / f"{number}.png")
        (root / "labels" / f"{number}.txt").write_text("0 0.46875 0.46875 0.34 0.34\n")
    (root / "data.yaml").write_text("train: images\nnames: [disc]\n")
    params, text = started(root)
    paste = params.generate.det.modes.paste
    assert paste is not None and paste.objects == "train" and paste.classes is None
    assert params.train_gen.method == "none" and "nothing is drawn" in text


def test_a_fault_does_not_stop_it(tmp_path: Path) -> None:
    photos = classes(tmp_path / "photos", {"cat": 20, "dog": 20})
    (photos / "cat/broken.png").write_bytes(b"no image")
    params, text = started(photos)
    assert not params.download.strict
    assert "broken.png" in text.replace("\n  # ", " ") and "or set download.strict" not in text.replace("\n  # ", " ")


def test_a_gpu_gets_a_pre_trained_model(tmp_path: Path) -> None:
    params, _ = started(classes(tmp_path / "photos", {"cat": 20, "dog": 20}), gpu=True)
    assert params.train_gen.method == "lora"


def test_neither_classes_nor_boxes(tmp_path: Path) -> None:
    """The message is about class folders, which most users have, and short."""
    with pytest.raises(UserError, match=r"^photos: does not exist; name the folder of your images$"):
        start(Path("photos"), None, Path("own.yaml"), False)
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match=r"photos: no image is in it; found no files; nor are there boxes in YOLO"):
        start(tmp_path / "photos", None, Path("own.yaml"), False)
    assert not Path("own.yaml").exists()


def test_broken_boxes_are_said_and_not_missing_classes(tmp_path: Path) -> None:
    root = WRITERS["yolo"](tmp_path / "boxes", two_hundred())
    (root / "data.yaml").write_text("train: nowhere\nnames: [a]\n")
    with pytest.raises(UserError, match=r"data\.yaml: .*nowhere"):
        start(root, None, Path("own.yaml"), False)


def test_text_files_without_a_box_are_no_missing_boxes(tmp_path: Path) -> None:
    root = WRITERS["yolo"](tmp_path / "boxes", two_hundred())
    (root / "data.yaml").unlink()
    for path in (root / "labels").rglob("*.txt"):
        path.write_text("hello world\n")
    with pytest.raises(UserError, match=r"\.txt: has the name of an image, but no line of 'class x y width height'"):
        start(root, None, Path("own.yaml"), False)


def test_boxes_elsewhere_that_are_broken_are_said(tmp_path: Path) -> None:
    """Both ways of reading them are tried; what is wrong with the files is said, whichever way was meant."""
    for number in range(4):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes/annotations.csv").write_text("a,b\n")
    (tmp_path / "photos").mkdir()
    for path in tmp_path.glob("*.png"):
        path.rename(tmp_path / "photos" / path.name)
    with pytest.raises(
        UserError, match=r"no boxes of a known format found.*; so there are no boxes for .*photos: corr"
    ):
        start(tmp_path / "photos", tmp_path / "boxes", Path("own.yaml"), False)
    (tmp_path / "boxes/data.yaml").write_text("train: nowhere\nnames: [a]\n")
    with pytest.raises(UserError, match=r"nowhere.*; so there are no boxes for .*photos: correct .*boxes, or leave it"):
        start(tmp_path / "photos", tmp_path / "boxes", Path("own.yaml"), False)


def test_what_is_read_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = classes(tmp_path / "photos", {"cat": 20, "dog": 20})
    (photos / "cat/broken.png").write_bytes(b"no image")
    started(photos)
    assert capsys.readouterr().out.count("download: cls: class folders; 41 images") == 1


def test_too_few_minutes_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "speed", lambda: 0.01)
    started(classes(tmp_path / "photos", {"cat": 20, "dog": 20}), minutes=1)
    assert "start: note: 1 minutes are too few. The preset has 2 % of the usual steps" in capsys.readouterr().out


def test_a_preset_has_the_name_of_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"own\.txt: a preset's name ends in \.yaml"):
        start(tmp_path, None, Path("own.txt"), False)


def test_class_folders_need_no_boxes_and_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started(classes(tmp_path / "photos", {"cat": 20, "dog": 20, "rare": 5}))
    said = capsys.readouterr().out
    assert "boxes" not in said
    assert "start: cls: note: classes with fewer than 5 train images: rare (2); too few to learn from" in said


def test_boxes_that_were_given_and_cannot_be_read_are_no_silent_loss(tmp_path: Path) -> None:
    photos = classes(tmp_path / "photos", {"cat": 20, "dog": 20})
    (tmp_path / "boxes").mkdir()
    with pytest.raises(UserError, match=r"no boxes of a known format .*; so there are no boxes for .*photos: correct"):
        start(photos, tmp_path / "boxes", Path("own.yaml"), False)
    assert not Path("own.yaml").exists()


def test_a_folder_is_no_preset(tmp_path: Path) -> None:
    (tmp_path / "presets").mkdir()
    with pytest.raises(UserError, match=r"presets: a folder; name a file with --out, such as .*own\.yaml"):
        start(tmp_path, None, tmp_path / "presets", False)


def test_an_existing_preset_is_not_overwritten(tmp_path: Path) -> None:
    Path("own.yaml").write_text("seeds: [7]\n")
    with pytest.raises(UserError, match=r"own\.yaml: exists already"):
        start(classes(tmp_path / "photos", {"cat": 20, "dog": 20}), None, Path("own.yaml"), False)


def test_a_preset_that_cannot_run_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the next attempt would stop at the file that exists already."""
    photos = classes(tmp_path / "photos", {"cat": 20, "dog": 20})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    with pytest.raises(UserError, match="of disk are needed"):
        start(photos, None, Path("own.yaml"), False)
    assert not Path("own.yaml").exists()


@pytest.mark.slow
def test_the_probe_of_the_machines_speed() -> None:
    assert 0 < estimate.speed() < 100
