"""A generator tuned on pictures and captions of one's own, with the real dvc.yaml; only the first two stages."""

import shutil
from pathlib import Path

import pytest
import small_models
from project import change, make_project, repro, run

pytestmark = pytest.mark.slow

LORA = {"size": 16, "rank": 2, "alpha": 2, "steps": 2, "batch_size": 2, "gradient_accumulation": 1}


def test_a_lora_of_pictures_with_captions_of_ones_own(tmp_path: Path) -> None:
    """DVC watches the folder: another caption trains again. A table of captions for the train images does so too."""
    project = make_project(tmp_path / "project")
    small_models.stable_diffusion(project / "base")
    own = project / "data/own/style"
    own.mkdir(parents=True)
    for number, name in enumerate(("a", "b")):
        shutil.copy(sorted((project / "photos/bar").iterdir())[number], own / f"{name}.png")
        (own / f"{name}.txt").write_text(f"a {('cat', 'dog')[number]} in my style\n")
    lora = LORA | {"model": {"name": "./base", "revision": None}}
    tuned = {"method": "lora", "images": "own/style", "lora": lora}
    change(project, {"download": {"unseen_by": None}, "train_gen": tuned})
    change(project, {"generate": {"cls": {"modes": {"inpaint": None}}}})
    assert "data/own/style: fine: 2 pictures with captions" in run(project, "diffaug", "check")
    weights = project / "models/generator/pytorch_lora_weights.safetensors"
    assert "train_gen" in repro(project, "train_gen") and "train_gen" not in repro(project, "train_gen")
    first = weights.read_bytes()
    (own / "a.txt").write_text("a dog in my style")
    assert "train_gen" in repro(project, "train_gen")
    second = weights.read_bytes()
    (own / "b.txt").unlink()
    assert "data/own/style: has no caption for b.png; add one" in run(project, "dvc", "repro", "train_gen", fails=True)

    names = [f"{kind}/{number:02d}.png" for kind in ("bar", "disc", "square") for number in range(20)]
    (project / "prompts/mine.csv").write_text("".join(["file_name,text\n", *(f"{name},a cat\n" for name in names)]))
    change(project, {"train_gen": {"images": "real/cls/train", "captions": "prompts/mine.csv"}})
    run(project, "diffaug", "check")
    assert "train_gen" in repro(project, "train_gen")
    assert len({first, second, weights.read_bytes()}) == 3
