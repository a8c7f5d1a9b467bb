"""Cuts all jobs into batches, and draws one batch after another into the work cache."""

import gc
import itertools
import json
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.provenance import Provenance
from diffaug.dataset.records import Record
from diffaug.diffusion.finding import Found, find_model
from diffaug.diffusion.opening import open_model
from diffaug.generation.drawing.cache import WorkCache, Writer
from diffaug.generation.drawing.conditions import FoundControl, find_control
from diffaug.generation.drawing.identity import fingerprint
from diffaug.generation.drawing.pnginfo import text_chunks
from diffaug.generation.drawing.sampler import Drawn, Sampler
from diffaug.generation.plan.jobs import Job, Plan, Settings, batches
from diffaug.hub.locate import Located
from diffaug.params.generate import GenerateParams
from diffaug.runtime.cores import threads
from diffaug.runtime.files import atomic_path

_NATIVE = "native.json"  # in the cache: the model's own size, so that a finished run need not open the model


class Drawing:
    """The plan's batches by number, with their cache. Raises UserError if the model's files are not there.

    The model is found only if the plan draws (one that pastes real objects needs none), and opened only if an image is
    missing.
    """

    def __init__(self, params: GenerateParams, plan: Plan, work: Path, device: torch.device) -> None:
        self.plan = plan
        if device.type == "cpu":  # whatever number of processes draws, an image is the same
            torch.set_num_threads(threads())
        self._params, self._work, self._device = params, work, device
        if plan.drawn:
            cls, det = plan.cls.names if plan.images else (), plan.det.names if plan.items or plan.parts else ()
            self.model.refuse_unknown_classes([*cls, *det])
        self._sources = {False: {r.id: r for r in plan.cls}, True: {r.id: r for r in plan.det}}
        groups = (plan.images, plan.items, plan.parts)
        self.batches = list(itertools.chain.from_iterable(batches(group, params.batch_size) for group in groups))

    @cached_property
    def model(self) -> Found:
        """The model's files."""
        return find_model(self._params, self._device)

    @cached_property
    def control(self) -> FoundControl | None:
        """The ControlNet's files, if it is in use."""
        return find_control(self._params.cls.modes.controlnet)

    @property
    def networks(self) -> list[Located]:
        """The model and, if in use, the ControlNet: their licences apply to the images."""
        return [self.model.located, *([self.control.located] if self.control else [])]

    @cached_property
    def sampler(self) -> Sampler:
        """The open model. Raises UserError if it cannot draw the plan's jobs."""
        model = open_model(self._params, self._device, self.model)
        opened = Sampler(model, self._params, self.control, self.plan.object_of)
        opened.check(self.plan.drawn)
        if any(not (job.settings.width and job.settings.height) for job in self.plan.drawn):
            with atomic_path(self.cache.folder / _NATIVE) as temporary:
                temporary.write_text(json.dumps(opened.native), encoding="utf-8")
        return opened

    def release(self) -> None:
        """Release the open model and its memory. Its parts refer to each other, so they go only with a collection."""
        vars(self).pop("sampler", None)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()

    @cached_property
    def cache(self) -> WorkCache:
        """The drawn images of this model and these settings."""
        return WorkCache.open(self._work, fingerprint(self.model, self.control, self._params))

    def source(self, job: Job) -> Record | None:
        """The real image that a job starts from."""
        return self._sources[job.part is not None][job.source_id] if job.source_id else None

    def path(self, job: Job) -> Path:
        """The path of the job's image, whether it exists or not."""
        source = self.source(job)
        if source is None:
            return self.cache.path(job, None)
        masks = f"{source.bbox if job.part else ()}"  # what they are made from
        if job.mode == "inpaint":
            masks += self.plan.objects.made_from(self.plan.cls.names[job.label])
        return self.cache.path(job, f"{source.sha256} {masks}")

    def unfinished(self) -> dict[int, list[Job]]:
        """Batch number to its jobs that are not drawn yet. Batches are cut before the cache is checked, so a resumed
        run draws the same batches as an uninterrupted one."""
        missing = {n: [job for job in batch if not self.path(job).exists()] for n, batch in enumerate(self.batches)}
        return {number: jobs for number, jobs in missing.items() if jobs}

    def draw(self, numbers: Iterable[int], report: Callable[[int], object]) -> None:
        """Draw these batches into the cache; `report` gets the number of finished images after each."""
        writers = max(1, min(8, (os.cpu_count() or 2) // 2)) if self._device.type != "cpu" else 1
        with Writer(writers) as writer:
            for number in numbers:
                batch = self.batches[number]
                sources = {job.source_id: self.source(job) for job in batch if job.source_id}
                drawn = self.sampler.draw(batch, {id: record for id, record in sources.items() if record is not None})
                missing = {job.id for job in batch if not self.path(job).exists()}
                lazy = _Lazy(self, drawn)
                writer.submit(
                    {self.path(job): partial(lazy.encode, n) for n, job in enumerate(batch) if job.id in missing}
                )
                report(len(missing))

    def encode(self, job: Job, image: Image.Image, flagged: bool | None) -> bytes:
        """The PNG of a job: `image` as the model drew it, brought to the job's size, with its text chunks."""
        finished = self.sampler.views.finish(image, job, self.source(job))
        model = self.model
        return encode_png(finished, text_chunks(job, image.size, model.label, model.sha256, flagged, model.adapters))

    def shared(self, job: Job) -> Provenance:
        """How a job is drawn: the part that all images of its batch share."""
        model, settings = self.model, job.settings
        return Provenance(
            guidance_scale=settings.guidance_scale,
            steps=settings.num_inference_steps,
            scheduler=settings.scheduler,
            eta=settings.eta if settings.eta >= 0 else None,
            model=model.located.name,
            revision=model.located.revision,
            weights_sha256=model.sha256,
            licence=model.located.licence,
            settings=self._other_settings(settings),
        )

    def provenance(self, job: Job) -> Provenance:
        """How a job is drawn, including what only its image has."""
        return replace(
            self.shared(job),
            source_id=job.source_id,
            mode=job.mode,
            index=job.index,
            draw=job.draw,
            prompt=job.prompt,
            negative_prompt=job.negative_prompt,
            seed=job.seed,
            strength=job.settings.strength or None,
        )

    def _other_settings(self, settings: Settings) -> dict[str, Any]:
        """The settings of an image that have no column of their own."""
        params, modes = self._params, self._params.cls.modes
        given = settings.width and settings.height
        native = (0, 0) if given else self._native
        guided = modes.controlnet if settings.mode == "controlnet" else None
        control = self.control.located if guided and self.control else None
        return {
            "width": settings.width or native[0],
            "height": settings.height or native[1],
            "fit": params.fit,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "loras": [adapter.model_dump() for adapter in params.loras],
            "embeddings": [embedding.model_dump() for embedding in params.embeddings],
            "vae": params.vae.model_dump(exclude_none=True) if params.vae else None,
            "memory": params.memory.model_dump(exclude={"offload"}),
            "tiny_vae": params.tiny_vae.model_dump(exclude_none=True) if params.tiny_vae else None,
            "call": dict(params.call),
            "controlnet": guided.model_dump(exclude_none=True) if guided else None,
            "controlnet_sha256": control.sha256 if control else None,
            "controlnet_licence": control.licence if control else None,
            **(self.plan.objects.settings if settings.mode == "inpaint" else {}),
        }

    @cached_property
    def _native(self) -> tuple[int, int]:
        """(width, height) in pixels for which the model was trained."""
        file = self.cache.folder / _NATIVE
        if not file.exists():
            return self.sampler.native
        width, height = json.loads(file.read_text(encoding="utf-8"))
        return width, height

    def waste(self) -> float:
        """The share of drawn images that only fill up batches, 0 to 1."""
        slots = len(self.batches) * self._params.batch_size
        return 1 - len(self.plan.drawn) / slots if slots else 0.0


class _Lazy:
    """A batch whose images are computed only when the writing threads need them."""

    def __init__(self, drawing: Drawing, drawn: Drawn) -> None:
        self._drawing = drawing
        self._drawn = drawn
        self._lock = threading.Lock()
        self._images: list[Image.Image] = []
        self._flags: list[bool | None] = []

    def encode(self, number: int) -> bytes:
        with self._lock:
            if not self._images:
                self._flags = self._drawing.sampler.flag(self._drawn)
                self._images = self._drawn.images()
        return self._drawing.encode(self._drawn.jobs[number], self._images[number], self._flags[number])
