"""Drawing a batch of jobs with a diffusers pipeline."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial, wraps
from typing import Any

import numpy as np
import torch
from PIL import Image

from diffaug.dataset.records import Record
from diffaug.diffusion.abilities import (
    native_size,
    pipeline_for,
    refuse_unknown,
    refuse_wrong_types,
    takes,
)
from diffaug.diffusion.compiling import compile_network, compile_pipeline, keep_steps_on_cpu, to_channels_last
from diffaug.diffusion.finding import find_model
from diffaug.diffusion.inpainting import blend, has_inpainting
from diffaug.diffusion.knobs import idle_guidance, refuse_idle, refuse_undriven
from diffaug.diffusion.memo import remember_prompts
from diffaug.diffusion.opening import Model, open_model
from diffaug.diffusion.prompt_length import refuse_long_prompts
from diffaug.diffusion.schedulers import make_scheduler, takes_eta
from diffaug.diffusion.small_memory import place, slice_vae
from diffaug.diffusion.start_noise import start_noise
from diffaug.generation.drawing.conditions import FoundControl, find_control, open_control
from diffaug.generation.drawing.views import ObjectOf, Views
from diffaug.generation.plan.jobs import Job, Settings
from diffaug.params.generate import GenerateParams
from diffaug.runtime.errors import UserError
from diffaug.runtime.shortage import lacks_memory
from diffaug.segmenting.objects import Objects

# What a scheduler returns of a step: the next latents and, from most, what the clean ones are estimated to be.
Watch = Callable[[tuple[torch.Tensor, ...]], None]


@dataclass(frozen=True)
class Drawn:
    """A drawn batch. pixels: uint8 (B, H, W, 3) on the CPU, complete after the event `ready`; finite: whether all of
    them were numbers before they were rounded; advice: what to do if not."""

    jobs: tuple[Job, ...]
    pixels: torch.Tensor
    finite: torch.Tensor
    ready: Any | None
    advice: str

    def images(self) -> list[Image.Image]:
        """The images at the model's size, RGB. Raises UserError if a pixel was NaN, which would look black."""
        if self.ready is not None:
            self.ready.synchronize()
        if not self.finite:
            raise UserError(f"{self.jobs[0].id}: the model's pixels are not finite numbers; {self.advice}")
        return [Image.fromarray(pixels) for pixels in self.pixels.numpy()[: len(self.jobs)]]


class Sampler:
    """The model with one pipeline per mode; draws the images of jobs. object_of: the mask of a source's object."""

    def __init__(
        self,
        model: Model,
        params: GenerateParams,
        control: FoundControl | None = None,
        object_of: ObjectOf | None = None,
    ) -> None:
        self.model = model
        self.params = params
        self.control = open_control(control, model) if control is not None else None
        self._pipelines: dict[tuple[str, bool], Any] = {}
        self._own_scheduler = model.pipeline.scheduler
        self.views = Views(params, object_of or Objects().in_image)
        networks = [model.pipeline.components.get(name) for name in ("unet", "transformer", "vae")]
        networks += [self.control.network] if self.control is not None else []
        if model.found.device.type == "cuda":  # on a CPU the other format is as fast, and rounds otherwise
            for network in filter(None, networks):
                to_channels_last(network)
        if params.compile:
            compile_pipeline(model.pipeline)
            if self.control is not None:
                compile_network(self.control.network)

    @property
    def batch_size(self) -> int:
        return self.params.batch_size

    def check(self, jobs: Sequence[Job]) -> None:
        """Raises UserError, before any work, if the model lacks a mode or an argument, a scheduler does not fit, or a
        prompt would be cut off."""
        slice_vae(self.model.pipeline, self.params.memory, 1)
        for settings in sorted({job.settings for job in jobs}):
            self._arguments(settings)
            self.size(settings)
        texts = sorted({text for job in jobs for text in (job.prompt, job.negative_prompt)})
        refuse_long_prompts(self.model.pipeline, texts, "generate.prompt", self.params.call)

    def notes(self, jobs: Sequence[Job]) -> list[str]:
        """What to know about settings that this model does not use, once for each."""
        pipelines = [self._pipeline(settings) for settings in sorted({job.settings for job in jobs})]
        return sorted({note for note in map(idle_guidance, pipelines) if note})

    @cached_property
    def native(self) -> tuple[int, int]:
        """(width, height) in pixels that the model was trained for. Raises UserError if it does not state it."""
        return native_size(self.model.pipeline)

    def size(self, settings: Settings) -> tuple[int, int]:
        """(width, height) of the model's canvas in pixels."""
        if settings.width and settings.height:
            return settings.width, settings.height
        return settings.width or self.native[0], settings.height or self.native[1]

    def draw(self, jobs: Sequence[Job], sources: Mapping[str, Record], watch: Watch | None = None) -> Drawn:
        """Draw the jobs, which must have the same settings, at the model's size. `sources`: the real images, by id;
        watch: gets what the scheduler returns at each step.

        The batch is filled up to `batch_size`, so its shape, and therefore every image's bytes, are always the same.
        """
        settings = jobs[0].settings
        padded = [*jobs, *[jobs[-1]] * (self.batch_size - len(jobs))]
        arguments = self._arguments(settings)
        arguments |= self._inputs(settings, padded, sources)
        if "negative_prompt" in arguments:
            arguments["negative_prompt"] = [job.negative_prompt for job in padded]
        pipeline = self._pipeline(settings)
        width, height = self.size(settings)
        slice_vae(pipeline, self.params.memory, width * height * self.batch_size)
        generators = initial_generators(padded)
        pipeline.scheduler = make_scheduler(settings.scheduler, self._own_scheduler)
        if self.model.found.device.type == "cuda" and getattr(pipeline, "unet", None) is not None:
            keep_steps_on_cpu(pipeline.scheduler)
            if settings.mode == "txt2img":
                noise = start_noise(pipeline, generators, (width, height), self.model.found.device)
                arguments |= {} if noise is None else {"latents": noise}
        if "generator" in inspect.signature(pipeline.scheduler.step).parameters:
            # Pipelines of flow models do not pass on a generator, and a stochastic sampler would use the global one.
            pipeline.scheduler.step = partial(pipeline.scheduler.step, generator=generators)
        if watch is not None:
            pipeline.scheduler.step = _watched(pipeline.scheduler.step, watch)
        try:
            # In inference mode, int8 weights that are moved to the GPU would stay there.
            with torch.no_grad() if self.params.memory.quantize else torch.inference_mode():
                pixels = pipeline(
                    prompt=[job.prompt for job in padded],
                    generator=generators,
                    output_type="pt",
                    **arguments,
                ).images
        except Exception as error:  # whatever the library raises for a value that does not fit
            if lacks_memory(error):
                raise
            call = " and ".join(f"generate.call.{key}" for key in self.params.call)
            given = ", ".join(f"{key} {value}" for key, value in asdict(settings).items() if key != "negative")
            what = f"params.yaml: {call}: {type(pipeline).__name__}" if call else type(pipeline).__name__
            raise UserError(f"{what} refuses {given}: {' '.join(str(error).split())}") from None
        return _to_host(tuple(jobs), pixels, self._advice())

    def _advice(self) -> str:
        """What to change if the pixels are not finite."""
        params, ways = self.params, []
        if self.model.found.dtype is not torch.float32:
            dtype = str(self.model.found.dtype).removeprefix("torch.")
            ways.append(f"set generate.dtype: float32 (now {dtype}, in which many a VAE overflows)")
        ways += [f"leave out generate.{key}" for key in ("loras", "embeddings") if getattr(params, key)]
        ways.append("set another generate.tiny_vae" if params.tiny_vae else "set another generate.vae")
        return ", or ".join(ways)

    def flag(self, drawn: Drawn) -> list[bool | None]:
        """The result of the model's own safety checker for each image; None if it has none."""
        if self.model.safety is None:
            return [None] * len(drawn.jobs)
        checker, extractor = self.model.safety
        images = drawn.images()
        inputs = extractor(images, return_tensors="pt").pixel_values
        with torch.inference_mode():
            weights = next(checker.parameters())
            _, found = checker(clip_input=inputs.to(weights), images=[np.zeros(1)] * len(images))
        return [bool(value) for value in found]

    def _pipeline(self, settings: Settings) -> Any:
        guided = settings.mode == "controlnet"
        mode = ("img2img" if settings.strength else "txt2img") if guided else settings.pipeline
        if (mode, guided) not in self._pipelines:
            network = self.control.network if guided and self.control else None
            blended = mode == "inpaint" and not has_inpainting(self.model.pipeline)
            pipeline = pipeline_for("img2img" if blended else mode, self.model.pipeline, network)
            if pipeline is not self.model.pipeline and self.params.memory.offload != "none":
                place(pipeline, self.params.memory, self.model.found.device)
            remember_prompts(pipeline)
            self._pipelines[mode, guided] = pipeline
        return self._pipelines[mode, guided]

    def _arguments(self, settings: Settings) -> dict[str, Any]:
        """The arguments of the call that all images share. Raises UserError if the pipeline lacks one."""
        pipeline = self._pipeline(settings)
        arguments: dict[str, Any] = {
            "num_inference_steps": settings.num_inference_steps,
            "guidance_scale": settings.guidance_scale,
            **self.params.call,
        }
        if settings.strength:
            arguments["strength"] = settings.strength
        if settings.eta >= 0:
            if not takes_eta(make_scheduler(settings.scheduler, self._own_scheduler)):
                raise UserError(
                    f"params.yaml: generate.eta: the scheduler {settings.scheduler!r} has no eta (only ddim and tcd "
                    "have it); set eta: null"
                )
            arguments["eta"] = settings.eta
        if settings.mode == "controlnet" and self.control:
            arguments["controlnet_conditioning_scale"] = self.control.scale
        if "width" in takes(pipeline):
            arguments["width"], arguments["height"] = self.size(settings)
        if settings.negative:
            arguments["negative_prompt"] = None
        refuse_unknown(pipeline, arguments)
        refuse_wrong_types(pipeline, self.params.call, "generate.call")
        refuse_idle(pipeline, arguments)
        refuse_undriven(pipeline, settings.scheduler, self._own_scheduler)
        return arguments

    def _inputs(self, settings: Settings, jobs: Sequence[Job], sources: Mapping[str, Record]) -> dict[str, Any]:
        """The arguments made from the source images."""
        if settings.mode == "txt2img":
            return {}
        pipeline, size = self._pipeline(settings), self.size(settings)
        records = [sources[job.source_id or ""] for job in jobs]
        seen = [self.views.enter(record, job, size) for record, job in zip(records, jobs)]
        if settings.pipeline == "img2img":
            return {"image": seen}
        if settings.mode == "controlnet":
            assert self.control is not None
            pictures = [self.control.conditions.picture(f"{r.sha256} {size}", image) for r, image in zip(records, seen)]
            if "control_image" in takes(pipeline):
                return {"control_image": pictures} | ({"image": seen} if settings.strength else {})
            return {"image": pictures}
        masks = [self.views.enter_mask(record, job, size) for record, job in zip(records, jobs)]
        if "mask_image" in takes(pipeline):
            return {"image": seen, "mask_image": masks}
        arrays = torch.from_numpy(np.stack([np.asarray(image) for image in seen])).permute(0, 3, 1, 2)
        mask = torch.from_numpy(np.stack([np.asarray(image) for image in masks]))[:, None]
        after = blend(pipeline, arrays.float() / 127.5 - 1, mask.float() / 255, initial_generators(jobs))
        return {"image": seen, "callback_on_step_end": after, "callback_on_step_end_tensor_inputs": ["latents"]}


def _watched(step: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    """The step of a scheduler, whose result is also passed on. It keeps its signature, which pipelines look at."""

    @wraps(step)
    def stepped(*arguments: Any, **named: Any) -> Any:
        result = step(*arguments, **named)
        watch(tuple(result) if isinstance(result, tuple) else tuple(result.values()))
        return result

    return stepped


def open_sampler(params: GenerateParams, device: torch.device, object_of: ObjectOf | None = None) -> Sampler:
    """A sampler with the model of the params. Raises UserError if it is missing or lacks a requested feature."""
    found, control = find_model(params, device), find_control(params.cls.modes.controlnet)
    return Sampler(open_model(params, device, found), params, control, object_of)


def initial_generators(jobs: Sequence[Job]) -> list[torch.Generator]:
    """One CPU generator per image, seeded by its job: the initial noise depends on nothing else."""
    return [torch.Generator("cpu").manual_seed(job.seed) for job in jobs]


def _to_host(jobs: tuple[Job, ...], pixels: torch.Tensor, advice: str) -> Drawn:
    """Round on the device, and copy to the CPU while the next batch is drawn."""
    finite = pixels.isfinite().all()
    rounded = pixels.float().mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    if rounded.device.type != "cuda":
        return Drawn(jobs, rounded.cpu(), finite.cpu(), None, advice)
    host, whole = (torch.empty(one.shape, dtype=one.dtype, pin_memory=True) for one in (rounded, finite))
    host.copy_(rounded, non_blocking=True)
    whole.copy_(finite, non_blocking=True)
    ready = torch.cuda.Event()
    ready.record()
    return Drawn(jobs, host, whole, ready, advice)
