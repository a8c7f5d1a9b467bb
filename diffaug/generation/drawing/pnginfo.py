"""The text chunks of a PNG: the `parameters` text that Stable Diffusion WebUI's "PNG Info" reads, and our own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from diffaug.dataset.codec import open_image
from diffaug.diffusion.schedulers import SPACINGS
from diffaug.generation.plan.jobs import Job
from diffaug.params.generate import Adapter

SAMPLERS = {  # by our names, those of WebUI
    "ddim": "DDIM",
    "deis": "DEIS",
    "dpm2": "DPM2",
    "dpm2_a": "DPM2 a",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_sde": "DPM++ SDE",
    "euler": "Euler",
    "euler_a": "Euler a",
    "heun": "Heun",
    "lcm": "LCM",
    "lms": "LMS",
    "pndm": "PLMS",
    "unipc": "UniPC",
}
_OWN_KEY = "diffaug"


def parameters(job: Job, size: tuple[int, int], model: str, model_hash: str, adapters: Sequence[Adapter] = ()) -> str:
    """The generation parameters in WebUI's format. `size`: (width, height) drawn, in pixels; `model_hash`: hex, of the
    model with all that is added to it; adapters: its LoRAs."""
    settings = job.settings
    sampler, spacing = _sampler(settings.scheduler)
    fields: dict[str, Any] = {
        "Steps": settings.num_inference_steps,
        "Sampler": sampler,
        "Schedule type": spacing,
        "CFG scale": f"{settings.guidance_scale:g}",
        "Seed": job.seed,
        "Size": f"{size[0]}x{size[1]}",
        "Model hash": model_hash[:10],
        "Model": _quoted(model),
        "LoRA": _quoted(", ".join(f"{Path(one.path).name}: {one.scale:g}" for one in adapters)) or None,
        "Denoising strength": f"{settings.strength:g}" if settings.strength else None,
        "Eta": f"{settings.eta:g}" if settings.eta >= 0 else None,
        "diffaug id": job.id,
    }
    lines = [job.prompt]
    if job.negative_prompt:
        lines.append(f"Negative prompt: {job.negative_prompt}")
    lines.append(", ".join(f"{key}: {value}" for key, value in fields.items() if value is not None))
    return "\n".join(lines)


def text_chunks(
    job: Job,
    size: tuple[int, int],
    model: str,
    model_hash: str,
    flagged: bool | None,
    adapters: Sequence[Adapter] = (),
) -> dict[str, str]:
    """Both text chunks of a generated PNG. flagged: the result of the model's safety checker, None without one; the
    others as in `parameters`."""
    own = own_text(job.id, job.source_id, job.mode, flagged=flagged)
    return {"parameters": parameters(job, size, model, model_hash, adapters)} | own


def own_text(id: str, source: str | None, mode: str, **more: Any) -> dict[str, str]:
    """The text chunk that identifies the image; more: fields that only some images have."""
    return {_OWN_KEY: json.dumps({"id": id, "source": source, "mode": mode} | more, sort_keys=True)}


def sheet_text() -> dict[str, str]:
    """The text chunk of a sheet of pictures, which is none of them."""
    return {_OWN_KEY: json.dumps({"sheet": True})}


def is_sheet(image: Image.Image) -> bool:
    """Whether an opened PNG says that it is a sheet."""
    return image.info.get(_OWN_KEY) == sheet_text()[_OWN_KEY]


def read_flag(data: bytes) -> bool | None:
    """The safety checker's result in a generated PNG, None if there was no checker."""
    return json.loads(open_image(data).info.get(_OWN_KEY, "{}")).get("flagged")


def _sampler(scheduler: str) -> tuple[str, str | None]:
    base, _, last = scheduler.rpartition("_")
    name, spacing = (base, last.capitalize()) if last in SPACINGS else (scheduler, None)
    return SAMPLERS.get(name, name), spacing


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text
