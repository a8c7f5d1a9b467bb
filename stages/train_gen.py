"""Train the generator: reads the set named by train_gen.images, writes models/generator, a diffusers pipeline folder.

Alone: python stages/train_gen.py
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers

import diffaug.generator
from diffaug.device import choose_device
from diffaug.generator.captioned import Captioned, captioned
from diffaug.generator.save import save_pipeline
from diffaug.generator.scratch import train_from_scratch
from diffaug.params import Params
from diffaug.records import read_set
from diffaug.stage import run_stage


def train_gen(params: Params, work: Path) -> Mapping[str, float]:
    """Train on the captioned images of the params; a killed run goes on from its last checkpoint."""
    images = read_set(Path("data") / params.train_gen.images)
    data = captioned(images, params.train_gen.caption, params.train_gen.size)
    device = choose_device()
    run = work / _key(data, params, device.type)
    pipeline, losses = train_from_scratch(data, params.train_gen, run, device)
    save_pipeline(pipeline, losses, images.names, Path("models/generator"))
    for stale in set(work.iterdir()) - {run}:
        shutil.rmtree(stale)
    return {"steps": params.train_gen.vae.steps + params.train_gen.unet.steps}


def _key(data: Captioned, params: Params, device: str) -> str:
    """Names the checkpoints after all they depend on, code included, so that a run never goes on from another's."""
    content = hashlib.sha256(np.ascontiguousarray(data.images).tobytes())
    content.update(json.dumps([data.captions, data.labels.tolist(), params.train_gen.model_dump()]).encode())
    content.update(json.dumps([device, torch.__version__, diffusers.__version__, transformers.__version__]).encode())
    for file in sorted(Path(diffaug.generator.__file__).parent.glob("*.py")):
        content.update(file.read_bytes())
    return content.hexdigest()[:16]


if __name__ == "__main__":
    run_stage("train_gen", train_gen)
