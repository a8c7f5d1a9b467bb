"""Make the generator: reads the images named by train_gen.images, writes models/generator: a diffusers pipeline folder
(method scratch), LoRA weights (lora), a learned word (textual_inversion), or nothing (none: generate.model as it is).

Alone: python stages/train_gen.py
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import diffaug.runtime.start  # noqa: F401 - first, so that Ctrl-C is one line while the others are imported
from diffaug.dataset.records import read_set
from diffaug.diffusion.finding import training_dtype
from diffaug.diffusion.opening import open_pipeline
from diffaug.generator_training.captioned import Captioned, captioned, own_pictures
from diffaug.generator_training.captions import Captions
from diffaug.generator_training.samples import Samples
from diffaug.generator_training.save import save_nothing, save_pipeline
from diffaug.generator_training.scratch import train_from_scratch
from diffaug.generator_training.tuning import tune
from diffaug.hub.locate import locate_pipeline
from diffaug.params import Params
from diffaug.params.train_gen import TrainGenParams
from diffaug.runtime import code
from diffaug.runtime.device import choose_device
from diffaug.stage import run_stage

MODEL = Path("models/generator")


def train_gen(params: Params, work: Path) -> Mapping[str, float]:
    """Train by the method of the params; an interrupted run continues from its last checkpoint."""
    settings = params.train_gen
    if settings.method == "none":
        save_nothing(MODEL)
        return {"steps": 0}
    images = [] if settings.own else [read_set(Path("data") / name) for name in settings.sets]
    tuned = settings.tuned
    size = tuned.size if tuned else settings.scratch.size
    if settings.own:
        data = own_pictures(settings.own, size)
    else:
        captions = Captions(Path(settings.captions)) if settings.captions else None
        data = captioned(images, settings.caption, settings.context, size, captions)
    device = choose_device()
    if tuned is None:
        steps = settings.scratch.vae.steps + settings.scratch.unet.steps
        run = work / _key(data, settings, device.type, "")
        pipeline, losses = train_from_scratch(data, settings, run, device)
        seen = (record.open() for part in images for record in part)
        save_pipeline(
            pipeline, losses, data, settings.context, seen, MODEL, Samples(settings, size, steps, run).strip()
        )
    else:
        steps, base = tuned.steps, tuned.model
        located = locate_pipeline(base, settings.base_key)
        run = work / _key(data, settings, device.type, located.sha256)
        if located.note:
            print(located.note)
        pipeline = open_pipeline(base, located, settings.base_key, training_dtype(device))
        tune(pipeline, data, settings, run, device, MODEL)
    for stale in set(work.iterdir()) - {run}:
        shutil.rmtree(stale)
    return {"steps": steps}


def _key(data: Captioned, settings: TrainGenParams, device: str, base: str) -> str:
    """The name of the checkpoints: a hash of all they depend on, including code, so that a run never uses another's."""
    unused = {"scratch", "lora", "textual_inversion"} - {settings.method}
    content = hashlib.sha256(data.images.contiguous().numpy().tobytes())
    content.update(
        json.dumps(
            [data.names, data.captions, data.numbers.tolist(), settings.model_dump(exclude=unused), base]
        ).encode()
    )
    libraries = ["torch", "diffusers", "transformers"]
    if settings.method == "lora" and settings.lora.optimizer == "adamw8bit":
        libraries.append("bitsandbytes")
    content.update(json.dumps([device, *map(version, libraries)]).encode())
    content.update(code.fingerprint(f"diffaug.generator_training.{settings.method}", "diffaug.runtime.device").encode())
    return content.hexdigest()[:16]


if __name__ == "__main__":
    run_stage("train_gen", train_gen)
