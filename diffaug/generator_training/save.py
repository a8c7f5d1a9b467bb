"""Writes the output of train_gen: a diffusers folder, or LoRA weights with the name of their base model."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from diffaug.dataset.codec import encode_png
from diffaug.diffusion.additions import EMBEDDING_FILE
from diffaug.diffusion.finding import BASE_FILE
from diffaug.diffusion.loras import LORA_FILE
from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.reverse import reverse_strip
from diffaug.hub.learned import LEARNED_FILE
from diffaug.hub.seen import write_seen
from diffaug.params.base import LOSSES, REVERSE, ModelName
from diffaug.runtime.files import replace_folder
from diffaug.runtime.quiet import silence_libraries
from diffaug.runtime.seals import seal
from diffaug.runtime.tables import write_table

LOSS_POINTS = 200
SAMPLES = "samples.png"  # pictures of the same noise over the steps of the training


def save_pipeline(
    pipeline: StableDiffusionPipeline,
    losses: dict[str, list[float]],
    data: Captioned,
    context: float,
    images: Iterable[Image.Image],
    folder: Path,
    strip: Image.Image | None = None,
) -> None:
    """Write the pipeline to `folder`, with what it learned, completely or not at all.

    Beside it: `learned.json` (its classes, an image's side as a multiple of the object's, the size of its pictures),
    `losses.csv` (network, step, mean loss), the hashes of its training images, how it draws, and, if there is one, the
    strip of its samples.
    """
    silence_libraries()

    def write(place: Path) -> None:
        pipeline.save_pretrained(place, safe_serialization=True)
        _write_learned(place, data.names, context, **({"pixels": data.pixels} if data.pixels else {}))
        (place / REVERSE).write_bytes(encode_png(reverse_strip(pipeline, data.captions, data.pixels)))
        _write_losses(place, losses)
        write_seen(place, images)
        _write_strip(place, strip)
        seal(place)

    replace_folder(folder, write)


def save_lora(
    weights: dict[str, dict[str, Tensor]],
    losses: dict[str, list[float]],
    base: ModelName,
    context: float,
    folder: Path,
    strip: Image.Image | None = None,
) -> None:
    """Write `pytorch_lora_weights.safetensors`, which any diffusers user can load, `base.json` (its base model),
    `learned.json` (an image's side as a multiple of the object's), `losses.csv` and, if there is one, the strip of its
    samples, completely or not at all."""

    def write(place: Path) -> None:
        tensors = {f"{part}.{key}": value for part, state in weights.items() for key, value in state.items()}
        save_file(tensors, place / LORA_FILE, metadata={"format": "pt"})
        (place / BASE_FILE).write_text(base.model_dump_json(exclude_none=True) + "\n", encoding="utf-8")
        _write_learned(place, (), context)  # the base model knows more than these classes
        _write_losses(place, losses)
        _write_strip(place, strip)
        seal(place)

    replace_folder(folder, write)


def save_embedding(
    vectors: dict[str, Tensor],
    token: str,
    losses: dict[str, list[float]],
    base: ModelName,
    context: float,
    folder: Path,
    strip: Image.Image | None = None,
) -> None:
    """Write a learned word as `learned_embeds.safetensors`, with the other files of a LoRA; learned.json has its token.

    vectors: (V, width) by the name of the text encoder. Those of one text encoder are under the token, as diffusers and
    WebUI read them; SDXL's are `clip_l` and `clip_g`, as WebUI and ComfyUI do.
    """
    names = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"} if len(vectors) > 1 else {"text_encoder": token}

    def write(place: Path) -> None:
        tensors = {names[name]: value for name, value in vectors.items()}
        save_file(tensors, place / EMBEDDING_FILE, metadata={"format": "pt"})
        (place / BASE_FILE).write_text(base.model_dump_json(exclude_none=True) + "\n", encoding="utf-8")
        _write_learned(place, (), context, token=token)
        _write_losses(place, losses)
        _write_strip(place, strip)
        seal(place)

    replace_folder(folder, write)


def _write_learned(place: Path, classes: Sequence[str], context: float, **more: object) -> None:
    learned = json.dumps({"classes": list(classes), "context": context, **more}, ensure_ascii=False)
    (place / LEARNED_FILE).write_text(learned + "\n", encoding="utf-8")


def _write_strip(place: Path, strip: Image.Image | None) -> None:
    if strip is not None:
        (place / SAMPLES).write_bytes(encode_png(strip))


def save_nothing(folder: Path) -> None:
    """Make an empty `folder`: the generator is generate.model."""
    replace_folder(folder, seal)


def _write_losses(folder: Path, losses: dict[str, list[float]]) -> None:
    rows = []
    for network, values in losses.items():
        every = max(1, len(values) // LOSS_POINTS)
        for start in range(0, len(values), every):
            part = values[start : start + every]
            rows.append([network, start + len(part), f"{sum(part) / len(part):.6f}"])
    write_table(folder / LOSSES, ["network", "step", "loss"], rows)
