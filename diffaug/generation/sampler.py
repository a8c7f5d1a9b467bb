"""Drawing a batch of jobs with a diffusers pipeline."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy
import PIL
import torch
import transformers
from diffusers import AutoPipelineForImage2Image, AutoPipelineForText2Image
from PIL import Image

from diffaug import images
from diffaug.errors import UserError
from diffaug.generation.plan import Job
from diffaug.images import to_rgb_array
from diffaug.params import GenerateParams
from diffaug.prompts import refuse_truncation
from diffaug.quiet import silence_libraries
from diffaug.schedulers import SCHEDULERS


@dataclass(frozen=True)
class Sampler:
    """Pipelines that share their weights, one a mode, and the settings that every image has in common."""

    pipelines: Mapping[str, Any]
    scheduler: str
    num_inference_steps: int
    guidance_scale: float
    batch_size: int
    weights_sha256: str
    classes: tuple[str, ...]

    def fingerprint(self) -> dict[str, str]:
        """Everything beside the job that can change a pixel."""
        return {
            "weights": self.weights_sha256,
            "scheduler": self.scheduler,
            "steps": str(self.num_inference_steps),
            "guidance_scale": repr(self.guidance_scale),
            "batch_size": str(self.batch_size),
            "dtype": str(self.pipelines["txt2img"].unet.dtype),
            "device": self.pipelines["txt2img"].device.type,
            "libraries": " ".join(library.__version__ for library in (torch, diffusers, transformers, numpy, PIL)),
            "code": " ".join(
                hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in (__file__, images.__file__)
            ),
        }

    def check_prompts(self, jobs: Sequence[Job], names: Sequence[str]) -> None:
        """Raises UserError where a prompt would be cut off, or the generator never saw a class of `names`."""
        texts = sorted({text for job in jobs for text in (job.prompt, job.negative_prompt)})
        refuse_truncation(self.pipelines["txt2img"].tokenizer, texts, "generate.prompt")
        unknown = [name for name in names if self.classes and name not in self.classes]
        if unknown:
            raise UserError(
                f"params.yaml: train_gen.images: the generator has learned {', '.join(self.classes)}, but is to draw "
                f"{', '.join(unknown)}; let it learn from images of these classes"
            )

    def draw(self, jobs: Sequence[Job], sources: Mapping[str, Image.Image]) -> list[Image.Image]:
        """The jobs' images, in their sizes and colors. All jobs are of one mode and strength.

        The batch is filled up to `batch_size`, so that an image's neighbours never change its bytes. `sources`: the
        images that img2img starts from, by source id; any size is scaled to the model's.
        """
        padded = [*jobs, *[jobs[-1]] * (self.batch_size - len(jobs))]
        pipeline = self.pipelines[jobs[0].mode]
        settings: dict[str, Any] = {}
        if jobs[0].mode == "img2img":
            size = model_size(pipeline)
            settings["image"] = [Image.fromarray(to_rgb_array(sources[job.source_id or ""], size)) for job in padded]
            settings["strength"] = jobs[0].strength
        drawn = pipeline(
            prompt=[job.prompt for job in padded],
            negative_prompt=[job.negative_prompt for job in padded],
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            generator=initial_generators(padded),
            **settings,
        ).images
        return [fit(image, job) for image, job in zip(drawn, jobs)]


def initial_generators(jobs: Sequence[Job]) -> list[torch.Generator]:
    """One CPU generator an image, seeded by its job: the initial noise depends on nothing else."""
    return [torch.Generator("cpu").manual_seed(job.seed) for job in jobs]


def fit(image: Image.Image, job: Job) -> Image.Image:
    """The drawn image in the job's size and color."""
    return image.convert(job.color).resize(job.size, Image.Resampling.LANCZOS)


def model_size(pipeline: Any) -> int:
    """The side in pixels of the images that the pipeline's model was trained on."""
    return pipeline.unet.config.sample_size * pipeline.vae_scale_factor


def open_sampler(model: Path, params: GenerateParams, device: torch.device) -> Sampler:
    """The pipelines of a local diffusers folder, with the scheduler of the params.

    Raises UserError where the folder holds no pipeline.
    """
    if not (model / "model_index.json").exists():
        raise UserError(f"{model}: no model_index.json, so no diffusers pipeline; run `dvc repro train_gen`")
    silence_libraries()
    text = AutoPipelineForText2Image.from_pretrained(model, local_files_only=True).to(device)
    name, settings = SCHEDULERS[params.scheduler]
    text.scheduler = getattr(diffusers, name).from_config(text.scheduler.config, **settings)
    image = AutoPipelineForImage2Image.from_pipe(text)
    for pipeline in (text, image):
        pipeline.set_progress_bar_config(disable=True)
    learned = model / "classes.json"  # written by train_gen; other models do not say what they know
    return Sampler(
        pipelines={"txt2img": text, "img2img": image},
        scheduler=params.scheduler,
        num_inference_steps=params.num_inference_steps,
        guidance_scale=params.guidance_scale,
        batch_size=params.batch_size,
        weights_sha256=folder_sha256(model),
        classes=tuple(json.loads(learned.read_text(encoding="utf-8"))) if learned.exists() else (),
    )


def folder_sha256(folder: Path) -> str:
    """A hash over the names and bytes of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        with path.open("rb") as handle:
            content = hashlib.file_digest(handle, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()
