"""The other methods to get a generator, with the real dvc.yaml."""

import json
import shutil
from pathlib import Path

import pytest
import small_models
from project import change, copy_of, repro, run

from diffaug.dataset.records import read_set

pytestmark = pytest.mark.slow

LORA = {"size": 16, "rank": 2, "alpha": 2, "steps": 2, "batch_size": 2, "gradient_accumulation": 1}


def test_a_lora_on_ones_own_images_and_a_model_as_it_is(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    shutil.copytree(project / "models/generator", project / "base")
    (project / "base/README.md").write_text("---\nlicense: sai-nc-community\n---\n")
    lora = LORA | {"model": {"name": "./base", "revision": None}}
    change(project, {"download": {"unseen_by": "./base"}, "train_gen": {"method": "lora", "lora": lora}})
    run(project, "diffaug", "check")
    assert {"train_gen", "generate"} <= repro(project, "generate")
    assert {path.name for path in (project / "models/generator").iterdir()} == {
        ".sha256",
        "base.json",
        "learned.json",
        "losses.csv",
        "pytorch_lora_weights.safetensors",
    }
    tuned = read_set(project / "data/generated/cls").records[0]

    small_models.controlnet(project / "edges", project / "base")
    (project / "edges/README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    edges = {"weight": 1, "model": {"name": "./edges"}, "condition": "canny", "canny": [100, 200], "scale": 1.0}
    change(project, {"train_gen": {"method": "none"}, "generate": {"model": {"name": "./base"}}})
    change(project, {"generate": {"cls": {"modes": {"controlnet": edges}}}})
    assert {"train_gen", "generate"} <= repro(project, "generate")
    plain = next(record for record in read_set(project / "data/generated/cls") if record.id == tuned.id)
    assert [path.name for path in (project / "models/generator").iterdir()] == [".sha256"]
    assert (plain.model, plain.licence, tuned.licence) == ("./base", "sai-nc-community", "sai-nc-community")
    assert plain.weights_sha256 != tuned.weights_sha256
    assert plain.seed == tuned.seed and plain.image != tuned.image
    repro(project)
    notes = json.loads((project / "metrics/details.json").read_text())["notes"]
    assert [note.partition(" is licensed under ")[::2] for note in notes if "licensed" in note] == [
        (
            "./base",
            "sai-nc-community: non-commercial use only; read it before you train on, or share, what was made here",
        ),
        ("./edges", "cc-by-nc-4.0: non-commercial use only; read it before you train on, or share, what was made here"),
    ]
    assert all(note in run(project, "diffaug", "verdict") for note in notes)


def test_a_lora_of_kolors_draws_in_all_its_modes(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    small_models.kolors(project / "kolors")
    (project / "kolors/README.md").write_text("---\nlicense: apache-2.0\n---\n")
    lora = LORA | {"model": {"name": "./kolors", "revision": None}}
    change(project, {"download": {"unseen_by": None}, "train_gen": {"method": "lora", "lora": lora}})
    change(project, {"generate": {"height": 16, "width": 16, "scheduler": "default"}})
    run(project, "diffaug", "check")
    output = run(project, "dvc", "repro", "generate")
    assert "./kolors is licensed under apache-2.0, but its MODEL_LICENSE says" in output
    drawn = read_set(project / "data/generated/cls").records
    assert {record.mode for record in drawn} == {"txt2img", "img2img", "inpaint"}
    assert {record.model for record in drawn} == {"./kolors"}
    assert len({record.sha256 for record in drawn}) == len(drawn)
