"""Parameters, jobs and a source image for the tests of generation."""

from typing import Any

import yaml
from paths import ROOT
from PIL import Image, ImageDraw

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.generation.plan.jobs import Job, Settings, image_seed
from diffaug.params.generate import GenerateParams

_ALONE = {"engine": "local", "processes": 1}


def params(model: object = "./none", **changes: Any) -> GenerateParams:
    """The repository's generate section with a small model, batches of four, and the given changes."""
    raw: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["generate"]
    named = model if isinstance(model, dict) else {"name": str(model)}
    return GenerateParams.model_validate(raw | {"model": named, "batch_size": 4, "launch": _ALONE} | changes)


def modes(**given: Any) -> dict[str, Any]:
    """The cls section with these modes; a mode's weight is 1."""
    return {"per_class": 4, "modes": {name: {"weight": 1} | settings for name, settings in given.items()}}


def jobs(count: int, mode: str = "txt2img", **settings: Any) -> list[Job]:
    """Jobs of two classes; those that need one start from the source `wide`."""
    chosen: dict[str, Any] = {"scheduler": "ddim", "num_inference_steps": 4, "guidance_scale": 2.0} | settings
    return [
        Job(
            id=f"{mode}-{index:06d}",
            index=index,
            label=index % 2,
            prompt=f"a photo of a {('cat', 'dog')[index % 2]}",
            negative_prompt="",
            seed=image_seed(0, None, mode, index),
            size=(20, 14),
            color="RGB",
            settings=Settings(mode=mode, **chosen),
            source_id=None if mode == "txt2img" else "wide",
        )
        for index in range(count)
    ]


def source(shade: int = 200, label: int | None = 0) -> Record:
    """A 20 x 14 image of a rectangle, (6, 4) to (13, 9), on black."""
    image = Image.new("RGB", (20, 14))
    ImageDraw.Draw(image).rectangle([6, 4, 13, 9], fill=(shade, 30, 90))
    boxes = {"label": label} if label is not None else {"bbox": ((6.0, 4.0, 8.0, 6.0),), "category": (0,)}
    return make_record("wide", encode_png(image), "train", **boxes)
