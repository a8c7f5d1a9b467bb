"""`diffaug story` on small real pipelines."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import command
from default_params import raw
from huggingface_hub import ModelCard
from PIL import Image
from safetensors.torch import load_file, save_file
from small_models import small_lora

LINES = "# a comment\na hare\na fox\na deer\n"


run, refused = command("story")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_pipeline: Path) -> Path:
    """A folder with params.yaml, whose model is small, and a story of three lines."""
    content = raw()
    content["download"]["unseen_by"] = None
    content["generate"] |= {"model": {"name": str(random_pipeline)}, "num_inference_steps": 2}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (tmp_path / "story.txt").write_text(LINES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    return tmp_path


def said(path: Path) -> str:
    return Image.open(path).info["parameters"]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_a_story_is_a_folder_ready_to_publish(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    random_pipeline: Path,
    judge: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lora = small_lora(random_pipeline, project / "style.safetensors")
    wished = ("--style", "ink", "--lora", f"{lora}:0.8", "--aesthetic", str(judge), "--least", "1000", "--seed", "7")
    run(monkeypatch, "story.txt", *wished, "--out", "hare")
    folder = project / "hare"
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    images = [f"images/0{number}.png" for number in (1, 2, 3)]
    assert files == ["README.md", *images, "prompts.txt", "scores.csv", "story.png", "style.safetensors"]
    texts = [said(folder / name) for name in images]
    assert [text.splitlines()[0] for text in texts] == ["a hare, ink", "a fox, ink", "a deer, ink"]
    assert all("Seed: 7," in text for text in texts)  # one noise for all
    assert all('LoRA: "style.safetensors: 0.8"' in text for text in texts)
    with (folder / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    mean = np.mean([float(row["aesthetic"]) for row in rows])
    verdict = f"esthetic: the mean {mean:.2f} is below 1000"
    card = ModelCard.load(folder / "README.md")
    assert card.data.tags == ["diffaug", "text-to-image", "lora"] and card.data.base_model is None
    assert card.data.widget[1] == {"text": "a fox, ink", "output": {"url": "images/02.png"}}
    for words in ("hf upload OWNER/hare .", "ms upload OWNER/hare .", verdict, "style.safetensors, scale 0.8"):
        assert words in card.text
    assert verdict in capsys.readouterr().out
    assert (folder / "prompts.txt").read_text(encoding="utf-8").splitlines() == [
        "# style: ink",
        *LINES.split("\n")[1:4],
    ]
    assert Image.open(folder / "story.png").width == 3 * 256


def test_related_noise(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "story.txt", "--coherence", "previous", "--strength", "0.5", "--out", "weak")
    run(monkeypatch, "story.txt", "--coherence", "previous", "--strength", "1.0", "--out", "strong")
    run(monkeypatch, "story.txt", "--coherence", "none", "--seed", "3", "--out", "none")
    assert "Denoising strength: 0.5" in said(project / "weak/images/02.png")
    assert "Denoising" not in said(project / "weak/images/01.png")
    first, weak, strong = (
        pixels(project / name) for name in ("weak/images/01.png", "weak/images/02.png", "strong/images/02.png")
    )
    assert np.abs(weak - first).mean() < np.abs(strong - first).mean()
    assert [f"Seed: {3 + n}," in said(project / f"none/images/0{n + 1}.png") for n in range(3)] == [True] * 3


def test_loras_of_one_name_are_both_kept(project: Path, monkeypatch: pytest.MonkeyPatch, random_pipeline: Path) -> None:
    for name in ("ink", "oil"):
        (project / name).mkdir()
        file = small_lora(random_pipeline, project / name / "pytorch_lora_weights.safetensors")
        save_file(load_file(file), file, metadata={"format": "pt", "modelspec.license": f"licence-{name}"})
    run(monkeypatch, "story.txt", "--n", "1", "--lora", "./ink:1", "--lora", "./oil:0.5", "--out", "一 story")
    folder = project / "一 story"
    for name in ("ink", "oil"):
        assert (folder / f"{name}.safetensors").read_bytes() == next((project / name).iterdir()).read_bytes()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "LoRA: ink.safetensors, scale 1, licence: licence-ink" in card
    assert "LoRA: oil.safetensors, scale 0.5, licence: licence-oil" in card
    assert "hf upload OWNER/NAME ." in card and "NAME one of letters" in card


def test_pictures_that_are_drawn_stay(
    project: Path, monkeypatch: pytest.MonkeyPatch, judge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever happens while they are scored."""
    monkeypatch.setattr("diffaug.commands.story.score_records", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, "story.txt", "--aesthetic", str(judge), "--out", "kept")
    assert len(list((project / "kept/images").iterdir())) == 3


def test_how_many_lines(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "story.txt").write_text("\n".join(f"a hare {number}" for number in range(10)), encoding="utf-8")
    run(monkeypatch, "story.txt")
    assert len(list((project / "story/images").iterdir())) == 8
    out = capsys.readouterr().out
    assert "the first 8 of 10 prompts; --n 10 draws all" in out
    assert "no aesthetic score: name a predictor with --aesthetic" in out
    run(monkeypatch, "story.txt", "--n", "2", "--out", "two")
    assert len(list((project / "two/images").iterdir())) == 2


def test_bad_input_is_one_line_and_leaves_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "full").mkdir()
    (project / "full/a.txt").write_text("mine")
    before = sorted(project.iterdir())
    for arguments, words in [
        (("nowhere.txt",), "nowhere.txt: not readable"),
        (("story.txt", "--n", "9"), "story.txt: has 3 prompts, and --n asks for 9"),
        (("story.txt", "--out", "full"), "full: exists, and a story is written into a new folder"),
        (("story.txt", "--out", "story.txt"), "story.txt: exists"),
        (("story.txt", "--model", "./nowhere"), "--model: nowhere is not a folder"),
        (("story.txt", "--lora", "./none.safetensors:1"), "--lora: none.safetensors does not exist"),
        (("story.txt", "--coherence", "previous", "--strength", "0.2"), "is below one step"),
        (("story.txt", "--scheduler", "magic"), "scheduler: allowed are"),
        (("story.txt", "--style", "word " * 200), "tokens"),
        (("story.txt", "--aesthetic", "./nowhere"), "--aesthetic"),
        (("story.txt", "--seed", "-1"), "story: seed: found -1"),
        (("story.txt", "--seed", "9" * 30), "story: seed: found 9999"),
        (("story.txt", "--least", "7"), "--least: found 7; give a number, and a predictor with --aesthetic"),
    ]:
        assert words in refused(monkeypatch, *arguments), arguments
    assert [path for path in sorted(project.iterdir()) if path.name != "work"] == before
