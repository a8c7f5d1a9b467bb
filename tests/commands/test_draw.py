"""`diffaug draw` on small real pipelines and on the embedded generator."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from command_line import command
from default_params import raw
from paths import ROOT
from PIL import Image, ImageDraw

from diffaug.commands.draw import hand_jobs, hand_params, make_wish, read_photo
from diffaug.params import load_params
from diffaug.runtime.errors import UserError

run, refused = command("draw")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_pipeline: Path) -> Path:
    """A folder with params.yaml, whose model is small, and a photograph of 40 x 30 pixels with a mask."""
    content = raw()
    content["download"]["unseen_by"] = None
    content["generate"] |= {"model": {"name": str(random_pipeline)}, "num_inference_steps": 4}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    photo = Image.fromarray(np.random.default_rng(0).integers(256, size=(30, 40, 3), dtype=np.uint8))
    photo.save(tmp_path / "photo.png")
    mask = Image.new("L", (40, 30))
    ImageDraw.Draw(mask).rectangle([10, 10, 29, 19], fill=255)
    mask.save(tmp_path / "mask.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    return tmp_path


def picture(path: str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_a_prompt_becomes_pictures_that_say_how(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "a photo of a cat", "--n", "3", "--seed", "7", "--scheduler", "euler_a", "--steps", "3", "--grid")
    assert sorted(path.name for path in (project / "drawn").iterdir()) == [
        *(f"0000{n}.png" for n in range(3)),
        "grid-00000.png",
    ]
    text = Image.open("drawn/00002.png").info["parameters"]
    assert text.startswith("a photo of a cat\nSteps: 3, Sampler: Euler a, ") and "Seed: 9" in text
    run(monkeypatch, "a photo of a cat", "--seed", "8", "--scheduler", "euler_a", "--steps", "3")  # numbered on
    assert np.array_equal(picture("drawn/00003.png"), picture("drawn/00001.png"))
    assert "diffaug id: draw-00003" in Image.open("drawn/00003.png").info["parameters"]


def test_one_noise_for_all(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "a photo of a cat", "--n", "2", "--same-noise")
    assert np.array_equal(picture("drawn/00000.png"), picture("drawn/00001.png"))
    run(monkeypatch, "a photo of a cat", "--n", "2")
    assert not np.array_equal(picture("drawn/00002.png"), picture("drawn/00003.png"))


def test_over_a_photograph(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "a cat", "--image", "photo.png", "--strength", "0.5,1.0")
    seeds = [Image.open(f"drawn/0000{n}.png").info["parameters"].partition("Seed: ")[2][:2] for n in range(2)]
    assert seeds == ["0,", "0,"]  # so that both can be compared
    weak, strong, real = (picture(path) for path in ("drawn/00000.png", "drawn/00001.png", "photo.png"))
    assert weak.shape == strong.shape == real.shape and not np.array_equal(weak, strong)
    run(monkeypatch, "a cat", "--image", "photo.png", "--mask", "mask.png", "--strength", "1.0")
    drawn, mask = picture("drawn/00002.png"), picture("mask.png")[..., 0] > 0
    assert np.array_equal(drawn[~mask], real[~mask])
    assert not np.array_equal(drawn[mask], real[mask])


def test_prompts_of_a_file_with_their_own_settings(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = '# a comment\na photo of a cat\n--prompt "a dog" --negative_prompt "blur" --steps 2 --sampler_name pndm\n'
    (project / "prompts.txt").write_text(lines, encoding="utf-8")
    wish = make_wish(None, "", Path("prompts.txt"), count=2)
    params = hand_params(load_params().generate, {}, wish)
    jobs = hand_jobs(params, wish, None)
    said = [(job.prompt, job.negative_prompt, job.seed, job.settings.num_inference_steps) for job in jobs]
    assert said == [
        ("a photo of a cat", "", 0, 4),
        ("a photo of a cat", "", 1, 4),
        ("a dog", "blur", 2, 2),
        ("a dog", "blur", 3, 2),
    ]
    run(monkeypatch, "--from-file", "prompts.txt")
    assert "Negative prompt: blur" in Image.open("drawn/00001.png").info["parameters"]


def test_a_model_that_learned_small_pictures_draws_no_border(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_params().generate.model.name
    shutil.copytree(model, project / "own")
    learned = {"classes": ["cat"], "context": 1.0, "pixels": [12, 14]}
    (project / "own/learned.json").write_text(json.dumps(learned), encoding="utf-8")
    run(monkeypatch, "a photo of a cat", "--model", "./own")
    run(monkeypatch, "a photo of a cat", "--model", "./own", "--height", "16")
    small, whole = picture("drawn/00000.png"), picture("drawn/00001.png")
    assert whole.shape == (16, 16, 3) and np.array_equal(small, whole[1:15, 2:14])


def test_what_was_found_goes_into_params(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    shutil.copytree(ROOT / "pretrained", project / "pretrained")
    options = ("--image", "photo.png", "--strength", "0.4,0.8", "--steps", "7", "--guidance", "2.5")
    run(monkeypatch, "a photo of a Bag", *options, "--use-in", "generate.cls.modes.img2img")
    mode = load_params().generate.cls.modes.img2img
    assert mode is not None
    assert (mode.strength, mode.num_inference_steps, mode.guidance_scale) == ([0.4, 0.8], 7, 2.5)
    old, new = ((path / "params.yaml").read_text(encoding="utf-8") for path in (ROOT, project))
    comments = [line.partition("#")[2] for line in old.splitlines() if "#" in line]
    assert [line.partition("#")[2] for line in new.splitlines() if "#" in line] == comments
    message = refused(monkeypatch, "a Bag", "--steps", "3", "--use-in", "generate.cls.modes.nothing")
    assert message.startswith("params.yaml with generate.cls.modes.nothing.num_inference_steps: ")
    assert (project / "params.yaml").read_text(encoding="utf-8") == new


def test_the_embedded_generator_says_what_it_has_never_read(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    shutil.copytree(ROOT / "pretrained", project / "pretrained")
    run(monkeypatch, "a photo of a T-shirt/top", "--steps", "2")
    assert "never read" not in capsys.readouterr().out
    run(monkeypatch, "a photo of a knight", "--steps", "2")
    assert "draw: note: the model has never read 'knight'; it draws T-shirt/top, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "draw: give either a prompt"),
        (("a", "--from-file", "prompts.txt"), "draw: give either a prompt"),
        (("a", "--mask", "mask.png"), "draw: --mask says what of a photograph is redrawn"),
        (("a", "--image", "nowhere.png"), "nowhere.png: not readable"),
        (("a", "--image", "params.yaml"), "params.yaml"),
        (("a", "--image", "photo.png", "--mask", "other.png"), "other.png: the mask has 9 x 9 pixels, and the photo"),
        (("a", "--image", "photo.png", "--mask", "black.png"), "black.png: the mask has no white pixel"),
        (("a", "--image", "photo.png", "--strength", "1.5"), "draw: strength: found 1.5"),
        (("a", "--image", "photo.png", "--strength", "0.1"), "draw: num_inference_steps 4 x strength 0.1 is below one"),
        (("a", "--out", "photo.png"), "--out: photo.png is a file, and the pictures go into a folder"),
        (("a " * 300,), "the prompt: "),
        (("a", "--scheduler", "foo"), "draw: scheduler: allowed are "),
        (("a", "--seed", "-1"), "draw: seed: found -1"),
        (("a", "--model", "./nowhere"), "--model: nowhere is not a folder"),
        (("a", "--lora", "./nowhere.safetensors:0.8"), "--lora: nowhere.safetensors does not"),
        (("a", "--from-file", "nowhere.txt"), "draw: give either a prompt"),
        (("--from-file", "nowhere.txt"), "nowhere.txt: not readable"),
        (("a", "--use-in", "generate"), "draw: --use-in: no setting was given"),
    ],
)
def test_what_does_not_fit_is_one_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    Image.new("L", (9, 9), 255).save(project / "other.png")
    Image.new("L", (40, 30)).save(project / "black.png")
    assert refused(monkeypatch, *arguments).startswith(said)


def test_a_photograph_is_turned_upright(project: Path) -> None:
    image, turned = Image.open("photo.png"), io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    image.save(turned, format="JPEG", exif=exif)
    Path("turned.jpg").write_bytes(turned.getvalue())
    assert read_photo(Path("turned.jpg")).size == (30, 40)


def test_a_wish_says_its_mode() -> None:
    chosen: dict[str, Any] = {"image": Path("a.png")}
    assert make_wish("a", "", None).mode == "txt2img"
    assert make_wish("a", "", None, **chosen).mode == "img2img"
    assert make_wish("a", "", None, **chosen, mask=Path("b.png")).mode == "inpaint"
    with pytest.raises(UserError, match="draw: "):
        make_wish("a\u0007", "", None)
