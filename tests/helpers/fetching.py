"""What the tests of `diffaug fetch` share: parameters that name models and sets of a hub, and the command."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from default_params import raw
from modelscope_server import COMMIT
from sets import noise

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record, write_set

UNET = "diffusion_pytorch_model.safetensors"
PHOTOS = {"source": "folder", "path": "photos", "val_fraction": 0.2, "test_fraction": 0.2}


def content(cls: Any = PHOTOS, det: Any = None, **generate: Any) -> dict[str, Any]:
    found = raw()
    found["download"] |= {"cls": cls, "det": det, "unseen_by": None}
    found["train_gen"]["images"] = "real/cls/train"
    found["generate"] |= {"model": {"name": "./sd"}} | generate
    return found


def named(name: str, hub: str | None = "modelscope", **more: Any) -> dict[str, Any]:
    return {"hub": hub, "name": name, "revision": COMMIT} | more


def labelled(root: Path) -> Path:
    for part, split in enumerate(("train", "val", "test")):
        images = [encode_png(noise(100 * part + number)) for number in range(6)]
        records = [make_record(f"{number}", data, split, label=number % 2) for number, data in enumerate(images)]
        write_set(root / split, ("cat", "dog"), records)
    (root / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    return root


def published(hub: str | None, revision: str) -> dict[str, Any]:
    splits = {"train": "train", "val": "validation", "test": "test"}
    own = {"source": "hf", "hub": hub, "name": "own/set", "revision": revision, "image": "image", "label": "label"}
    return own | {"splits": splits, "val_fraction": 0.2, "test_fraction": 0.2}


def command(folder: Path, found: dict[str, Any], *options: str, **environment: str) -> subprocess.Popen[str]:
    """`diffaug fetch` in a folder with this params.yaml."""
    (folder / "params.yaml").write_text(yaml.safe_dump(found), encoding="utf-8")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return subprocess.Popen(
        [sys.executable, "-m", "diffaug.commands.main", "fetch", *options],
        cwd=folder,
        env=kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
