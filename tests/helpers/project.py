"""A copy of the project with few images, on which the real pipeline runs in one or two minutes."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from paths import ROOT
from PIL import Image, ImageDraw

CLASSES = ("bar", "disc", "square")
TINY: dict[str, Any] = {
    "seeds": [0],
    "download": {
        "seed": 0,
        "strict": True,
        "cls": {"source": "folder", "path": "photos", "val_fraction": 0.2, "test_fraction": 0.3},
        "det": {"source": "scenes", "size": 64, "train": 4, "val": 4, "test": 8, "max_objects": 3},
    },
    "train_gen": {
        "method": "scratch",
        "images": "real/cls/train",
        "checkpoint_every": 2,
        "scratch": {
            "size": 16,
            "vae": {"channels": [8, 8, 8], "latent_channels": 4, "steps": 8, "batch_size": 4},
            "unet": {"channels": [8, 16], "text_width": 16, "steps": 8, "batch_size": 4},
        },
    },
    "generate": {
        "model": {"name": "models/generator"},
        "batch_size": 4,
        "launch": {"processes": 1},
        "num_inference_steps": 2,
        "cls": {
            "per_class": 8,
            "oversample": 2.0,
            "modes": {
                "txt2img": {"weight": 2},
                "img2img": {"weight": 1, "strength": [0.5, 1.0]},
                "inpaint": {"weight": 1, "strength": 1.0, "repaint": "background", "padding": 1, "feather": 1},
            },
        },
        "det": {
            "per_real": 2.0,
            "modes": {
                "paste": {"weight": 2, "items_per_class": 2},
                "img2img": {"weight": 1, "strength": 0.5, "feather": 1, "patches": {"context": 1.5, "per_scene": 2}},
                "inpaint_background": {
                    "weight": 1,
                    "prompt": "a photo",
                    "strength": 1.0,
                    "padding": 1,
                    "feather": 1,
                },
                "inpaint_object": {
                    "weight": 1,
                    "strength": 1.0,
                    "target_class": "rare",
                    "feather": 1,
                    "patches": {"context": 1.5, "per_scene": 1},
                },
            },
        },
    },
    # Everything passes, since these networks have learned nothing.
    "filter": {
        "cls": {
            "degenerate": {"min_std": 0.0},
            "hash": {"min_train": 0.0, "min_heldout": 0.0, "min_generated": 0.0},
            "correlation": {"min_heldout": 0.0},
            "label": {"min_probability": 0.0},
            "quality": {"nearest": 2},
        },
        "det": {
            "degenerate": {"min_std": 0.0},
            "hash": {"min_train": 0.0, "min_heldout": 0.0, "min_generated": 0.0},
            "correlation": {"min_heldout": 0.0},
            "boxes": {"min_changed": 0.0, "min_side": 1.0},
            "audit": {"sure": 1.0, "found": 0.0, "min_iou": 0.0, "min_recall": 0.0, "new_objects": "reject"},
        },
    },
    "merge": {"ratio": 1.0},
    "train_cls": {"image_size": 16, "steps": 4, "batch_size": 8, "eval_every": 2},
    "train_det": {"image_size": 64, "steps": 4, "batch_size": 4, "eval_every": 2},
    "report": {"sheet_rows": 1},
    "evaluate": {"resamples": 100, "robustness": {"corruptions": ["contrast"], "severities": [5]}},
}


def merged(base: dict, changes: dict) -> dict:
    """`base` with `changes` merged into it, section by section."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return result


def tiny_params() -> dict:
    """The repository's params with the tiny values."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["download"] = TINY["download"]
    return merged(params, {key: value for key, value in TINY.items() if key != "download"})


def draw_photos(folder: Path, per_class: int = 20) -> None:
    """One folder per class, with 20 x 20 grey drawings, all different."""
    generator = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            image = Image.new("L", (20, 20))
            pen = ImageDraw.Draw(image)
            x, y = (int(value) for value in generator.integers(1, 6, size=2))
            size, shade = int(generator.integers(8, 13)), int(generator.integers(120, 256))
            box = [x, y + 5, x + size, y + 8] if name == "bar" else [x, y, x + size, y + size]
            (pen.ellipse if name == "disc" else pen.rectangle)(box, fill=shade)
            image.putpixel((19, 19), number)
            image.save(folder / name / f"{number:02d}.png")


def make_project(folder: Path) -> Path:
    """A Git and DVC repository with the real dvc.yaml, stages and package, and tiny params."""
    folder.mkdir(parents=True)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".gitattributes"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("stages", "diffaug", "prompts", "pretrained"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(ROOT / ".dvc" / name, folder / ".dvc" / name)
    draw_photos(folder / "photos")
    write_params(folder, tiny_params())
    run(folder, "git", "init", "-q", "-b", "main")
    commit(folder, "start")
    return folder


def write_params(folder: Path, params: dict) -> None:
    """Write params.yaml."""
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def change(folder: Path, changes: dict) -> None:
    """Merge changes into the project's params.yaml."""
    write_params(folder, merged(yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8")), changes))


def environment(folder: Path) -> dict[str, str]:
    """The process environment, with this interpreter's programs first and the copy's own package."""
    own = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(folder)}
    git = {f"GIT_{who}_{what}": "tests@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**os.environ, **own, **git, "NO_COLOR": "1"}


def run(folder: Path, *command: str, fails: bool = False) -> str:
    """Run a command in the project; returns stdout and stderr together. Checks that it succeeds (or fails)."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert (done.returncode != 0) == fails, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout


def commit(folder: Path, message: str) -> None:
    """Commit everything that Git does not ignore."""
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "--allow-empty", "-m", message)


def repro(folder: Path, *arguments: str) -> set[str]:
    """`dvc repro`, and the names of the stages that it ran."""
    output = run(folder, "dvc", "repro", *arguments)
    return set(re.findall(r"Running stage '([^']+)'", output))


def copy_of(project: Path, folder: Path) -> Path:
    """A full copy of a finished project, including cache and data."""
    shutil.copytree(project, folder, symlinks=True)
    return folder


def remove(project: Path, *names: str) -> None:
    """Remove files and folders of the project, if they are there."""
    for path in (project / name for name in names):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def digest(place: Path) -> str:
    """A hash of the names and bytes of all files in a folder, or of one file."""
    content = hashlib.sha256()
    assert place.exists()
    for path in sorted(item for item in [place, *place.rglob("*")] if item.is_file()):
        content.update(path.relative_to(place).as_posix().encode() + path.read_bytes())
    return content.hexdigest()
