"""A generator that train_gen made, as a folder to publish: in half precision, with a card in the hub's format."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from huggingface_hub import ModelCardData

from diffaug.hub.learned import LEARNED_FILE, Learned
from diffaug.hub.opening import opening
from diffaug.hub.seen import read_seen
from diffaug.params.base import LOSSES, REVERSE, SEEN
from diffaug.runtime.files import replace_folder
from diffaug.runtime.quiet import silence_libraries
from diffaug.runtime.seals import SEAL, check_seal
from diffaug.runtime.tables import read_table

_CARD = """---
{data}
---

A small Stable Diffusion, trained by diffaug from random weights on {count} images of {size} x {size} pixels. It draws
these classes: {classes}.

```python
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained("./{name}")
pipeline("{prompt}").images[0].save("image.png")
```

Steps of training and mean loss of their last part: {losses}; `{losses_file}` has the curves. `{seen_file}` has hashes
of the training images, by which `download.unseen_by` of diffaug keeps them out of val and test. No licence is stated
here: see that of the training images.
"""


def write_generator(source: Path, folder: Path) -> None:
    """Write the pipeline of `source` in float16, with what it learned, its loss curves, the hashes of its training
    images and a README.md, to a new folder, completely or not at all. Raises UserError if a file is damaged or
    missing."""
    silence_libraries()
    if (source / SEAL).exists():
        check_seal(source)
    with opening(f"{source}: the generator cannot be opened", source):
        pipeline = StableDiffusionPipeline.from_pretrained(source, dtype=torch.float16, local_files_only=True)
        card = _card(source, folder.name, pipeline)

    def write(place: Path) -> None:
        pipeline.save_pretrained(place, safe_serialization=True)
        _forget_the_source(place)
        for file in (LEARNED_FILE, LOSSES, SEEN):
            shutil.copyfile(source / file, place / file)
        if (source / REVERSE).exists():  # a folder from before has none
            shutil.copyfile(source / REVERSE, place / REVERSE)
        (place / "README.md").write_text(card, encoding="utf-8")

    replace_folder(folder, write)


def _forget_the_source(folder: Path) -> None:
    """The library notes the path from which it has opened a part, which is another one on every machine."""
    for file in folder.rglob("*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.pop("_name_or_path", None) is not None:
            file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _card(source: Path, name: str, pipeline: StableDiffusionPipeline) -> str:
    data = ModelCardData(
        model_name=name, library_name="diffusers", pipeline_tag="text-to-image", tags=["diffaug", "stable-diffusion"]
    )
    last = {row["network"]: row for row in read_table(source / LOSSES)}
    classes = Learned.read(source).classes
    return _CARD.format(
        data=data.to_yaml(),
        count=len(read_seen(str(source)).trained),
        size=pipeline.unet.config.sample_size * pipeline.vae_scale_factor,
        classes=", ".join(classes),
        name=name,
        prompt=f"a photo of a {classes[0]}",
        losses=", ".join(f"{network} {row['step']} ({float(row['loss']):.4f})" for network, row in last.items()),
        losses_file=LOSSES,
        seen_file=SEEN,
    )
