"""`diffaug score` on folders of pictures, with small real networks."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from command_line import command
from default_params import raw
from PIL import Image, ImageOps
from sets import noise
from transformers import CLIPModel

from diffaug.commands.score import Scores, score
from diffaug.params.base import ModelName
from diffaug.scoring.clip import open_clip

run, refused = command("score")


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures of noise, a mirrored copy of one in a folder below, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "drawn"
    (folder / "more").mkdir(parents=True)
    for number in range(3):
        noise(number).save(folder / f"{number}.png")
    ImageOps.mirror(noise(1)).save(folder / "more/copy.png")
    (folder / "prompts.txt").write_text("no picture")
    return folder


def test_sheets_are_no_pictures_of_the_folder(pictures: Path) -> None:
    from diffaug.commands.pictures import read_pictures, save_sheet

    save_sheet(Image.new("RGB", (40, 20)), pictures / "grid-00000.png")
    assert [record.id for record in read_pictures(pictures)] == ["0.png", "1.png", "2.png", "more/copy.png"]


def test_without_networks(pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (40, 20), "grey").save(pictures / "blank.png")
    run(monkeypatch, "drawn", "--csv", "scores.csv")
    with (pictures.parent / "scores.csv").open(encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["0.png", "1.png", "2.png", "blank.png", "more/copy.png"]
    assert (rows["1.png"]["nearest_bits"], rows["1.png"]["nearest"]) == ("0", "more/copy.png")
    assert rows["more/copy.png"]["nearest"] == "1.png" and float(rows["0.png"]["nearest_bits"]) > 8
    blank = rows["blank.png"]
    assert [blank[name] for name in ("width", "height", "std", "entropy", "sharpness")] == ["40", "20", "0", "0", "0"]
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "width", "height", "std", "entropy", "sharpness", "nearest_bits", "nearest"]
    mean = np.mean([float(row["std"]) for row in rows.values()])
    assert lines[-1].split()[:2] == ["mean", f"{mean:.1f}"]


def test_the_mean_of_the_aesthetic_scores_and_whether_it_suffices(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, judge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = open_clip(ModelName(name=str(judge)), torch.device("cpu"), "m").images(
        [noise(0), noise(1), noise(2), ImageOps.mirror(noise(1))]
    )
    expected = (10 * images.sum(dim=1) + 5).mean().item()
    for least in (expected - 0.5, expected + 0.5):
        run(monkeypatch, "drawn", "--aesthetic", str(judge), "--least", str(least))
        said = capsys.readouterr().out.splitlines()[-1]
        word = "reaches" if least < expected else "is below"
        assert said == f"aesthetic: the mean {expected:.2f} {word} {least:g}"
    content = raw()
    content["download"]["unseen_by"] = None
    content["filter"]["cls"]["aesthetic"] = {"model": {"name": str(judge)}, "min": -100.0}
    (pictures.parent / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    run(monkeypatch, "drawn")
    assert capsys.readouterr().out.splitlines()[-1] == f"aesthetic: the mean {expected:.2f} reaches -100"


def test_how_well_pictures_fit_their_prompts(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, judge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL.PngImagePlugin import PngInfo

    run(monkeypatch, "drawn", "--clip", str(judge), "--prompt", "a photo of a cat", "--csv", "one.csv")
    said = refused(monkeypatch, "drawn", "--clip", str(judge))
    assert said.startswith("drawn/0.png: ") and "drawn/0.png" in said
    for path in pictures.rglob("*.png"):
        text = PngInfo()
        prompt = "a photo of a dog" if path.name == "2.png" else "a photo of a cat"
        text.add_text("parameters", f"{prompt}\nSteps: 4, Sampler: DDIM, CFG scale: 2, Seed: 1, Size: 32x32, Model: a")
        Image.open(path).save(path, pnginfo=text)
    run(monkeypatch, "drawn", "--clip", str(judge), "--csv", "own.csv")
    one, own = (
        [float(row["text"]) for row in csv.DictReader((pictures.parent / name).open(encoding="utf-8"))]
        for name in ("one.csv", "own.csv")
    )
    model = open_clip(ModelName(name=str(judge)), torch.device("cpu"), "m")
    cat, dog = (100 * (model.images([noise(2)]) @ model.texts([f"a photo of a {name}"]).T) for name in ("cat", "dog"))
    assert one[2] == pytest.approx(cat.item(), abs=1e-3) and own[2] == pytest.approx(dog.item(), abs=1e-3)
    assert one[:2] == pytest.approx(own[:2], abs=1e-3)


def test_bad_input_is_one_line(pictures: Path, monkeypatch: pytest.MonkeyPatch, judge: Path) -> None:
    (pictures.parent / "empty").mkdir()
    (pictures.parent / "broken").mkdir()
    (pictures.parent / "broken/a.png").write_bytes(b"not a picture")
    model = pictures.parent / "clip"
    CLIPModel.from_pretrained(judge).save_pretrained(model)
    for arguments, words in [
        (("nowhere",), "nowhere: not a folder; give a folder with pictures"),
        (("drawn/0.png",), "drawn/0.png: not a folder"),
        (("empty",), "empty: no image is in it"),
        (("broken",), "broken/a.png: "),
        (("drawn", "--prompt", "a cat"), "which network compares it with the pictures? Name a CLIP with --clip"),
        (("drawn", "--aesthetic", "./nothing"), "--aesthetic: "),
        (("drawn", "--least", "7"), "--least: found 7; give a number, and a predictor with --aesthetic"),
        (("drawn", "--aesthetic", str(model), "--least", "nan"), "--least: found nan"),
        (("drawn", "--aesthetic", "owner/model"), "--aesthetic: "),
        (("drawn", "--aesthetic", str(model)), f"--aesthetic: {model}: not the head of LAION's predictor"),
        (("drawn", "--clip", "./nothing", "--prompt", "a"), "--clip: "),
    ]:
        assert words in refused(monkeypatch, *arguments), arguments


def test_one_picture_has_no_nearest(pictures: Path) -> None:
    from diffaug.commands.score import Networks

    alone = pictures.parent / "alone"
    alone.mkdir()
    noise(5).save(alone / "a.png")
    found: Scores = score(alone, Networks())
    assert "nearest" not in found.rows[0] and "nearest_bits" not in found.means and found.verdict is None
