"""What a run will need, before it begins: time on a CPU, disk and memory, roughly, by proportion to the default run."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import joblib
from pydantic import BaseModel, Field

from diffaug.hub.configs import read_facts
from diffaug.hub.learned import LEARNED_FILE
from diffaug.params import Params
from diffaug.params.base import GENERATOR
from diffaug.params.train_gen import ScratchParams
from diffaug.runtime import cores
from diffaug.runtime.errors import UserError
from diffaug.runtime.work import work_folder

# Core seconds on two cores of a server, by unit of work: of the default run (benchmarks/README.md); the first is of
# presets/pretrained.yaml.
_TRAIN_IMAGE = 0.0094  # one image of 32 pixels in a step of the VAE or U-Net of 48 channels
_DRAW_STEP = 0.0011  # one image of 32 pixels in one step with guidance, with a U-Net of 48 channels
_CALL = 6  # images: what a call of the network costs besides those of its batch
_CLS_IMAGE = 0.0022  # one image of 32 pixels in a step of resnet18
_DET_IMAGE = 0.0058  # one image of 96 pixels in a step of yolov8n, which takes 2.6 times as long as one of resnet18
# Rough: _REST, _SCORE and _CALL are from a single run of 300 small photographs, _PIXEL is from one of 182 large ones,
# and _FORWARD is assumed.
_REST = 80.0  # download, merge, report, and starting all stages
_SCORE = 0.02  # one synthetic image in filter
_PIXEL = 0.5e-6  # one pixel of a synthetic image, to cut objects out, paste and score it
_FORWARD = 1 / 3  # of the time of an image in a training step, for one that is only predicted
# Stable Diffusion 1.5 at 512 pixels, in TFLOP: a call of the U-Net, the VAE's decoder; and what a core does a second.
_UNET, _DECODE, _CORE = 0.8, 2.5, 0.03
_MODEL_BYTES = {"cls": 45e6, "det": 12e6}  # resnet18, yolov8n
_PROBE = 64  # images of a batch
_COPIES = 3  # of everything: the work cache, the workspace, DVC's cache
_PNG = 1.5  # bytes a pixel of a drawn colour image
LEAST = 0.02  # share of the usual steps
_TRAINING = 3 * 2**30  # bytes of memory of one training or drawing process


class _Unet(BaseModel):
    sample_size: int
    block_out_channels: Annotated[list[int], Field(min_length=1)]


@dataclass(frozen=True)
class Images:
    """drawn: how many images the generator draws; made: how many synthetic images and scenes there will be; pixels: of
    all these together; real: bytes of the real train images, which every seed's merged set repeats."""

    drawn: int
    made: int
    pixels: int
    real: int = 0


def speed() -> float:
    """How fast a core of this machine is now: 1.0 for the server that the numbers above are from. By some steps of a
    small network; takes some seconds."""
    import torch
    from torchvision.models import resnet18

    torch.set_num_threads(1)
    model = resnet18(num_classes=10).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters())
    images = torch.rand(_PROBE, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.zeros(_PROBE, dtype=torch.long)

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        return time.perf_counter() - start

    step()
    return _CLS_IMAGE * _PROBE / min(step() for _ in range(6))  # the fastest: other work disturbs the others


def estimate(params: Params, images: Images, speed: float = 1.0) -> str:
    """One line. speed: of this machine. Raises UserError if the disk has no room for what will be made."""
    needed = _disk(params, images)
    free = shutil.disk_usage(Path()).free
    if needed > free and needed > free + _made_before():
        raise UserError(
            f"params.yaml: about {_gib(needed)} of disk are needed for {images.made} synthetic images and "
            f"{2 * len(params.seeds)} models per task, but {_gib(free)} are free; lower per_class, per_real or seeds"
        )
    processes = cores.side_by_side(params.jobs)
    memory = f"up to {_gib(min(processes * _TRAINING, cores.memory()))} of {_gib(cores.memory())} memory"
    return f"about {_time(params, images, speed)}, {_gib(needed)} of disk ({_gib(free)} are free), {memory}"


def affordable(params: Params, images: Images, speed: float, minutes: float) -> float:
    """The share, at most 1, of the params' steps (of training and drawing) for which a CPU has this time; at least
    `LEAST`, since fewer teach nothing."""
    needed = _core_seconds(params, images)
    rest = needed.pop("rest")
    return min(1.0, max(LEAST, (60 * minutes * joblib.cpu_count() * speed - rest) / sum(needed.values())))


def _time(params: Params, images: Images, speed: float) -> str:
    if cores.gpus():
        return f"an unknown time on {cores.gpus()[0]}"
    number = joblib.cpu_count()
    seconds = sum(_core_seconds(params, images).values()) / number / speed
    if seconds > 2 * 86400:
        said = f"{seconds / 86400:.0f} days"
    else:
        said = f"{seconds / 3600:.1f} hours" if seconds > 7200 else f"{max(1, round(seconds / 60))} minutes"
    return f"{said} on this CPU's {number} cores, as busy as they are now"


def _core_seconds(params: Params, images: Images) -> dict[str, float]:
    generate, gen = params.generate, params.train_gen
    calls = generate.num_inference_steps * (2 if generate.guidance_scale > 1 else 1)
    found = {"rest": _REST + _SCORE * images.made + _PIXEL * images.pixels}
    small = _small(params)
    if small is not None:
        found["generate"] = _DRAW_STEP * (1 + _CALL / generate.batch_size) * images.drawn * calls / 2 * small
        if gen.method == "scratch":
            found["train_gen"] = _TRAIN_IMAGE * _seen(gen.scratch) * small
    else:
        side = (generate.height or generate.width or 512) / 512
        found["generate"] = images.drawn * (calls * _UNET + _DECODE) * side**2 / _CORE
    if gen.tuned is not None:
        seen = gen.tuned.steps * gen.tuned.batch_size * gen.tuned.gradient_accumulation
        found["train_gen"] = seen * 3 * _UNET * (gen.tuned.size / 512) ** 2 / _CORE
    models = 2 * len(params.seeds)
    cls, det = params.train_cls, params.train_det
    if params.download.cls is not None:
        image = _CLS_IMAGE * (cls.image_size / 32) ** 2
        found["cls"] = models * cls.steps * cls.batch_size * image
        found["rest"] += models * _predicted(params) * image * _FORWARD
    if params.download.det is not None:
        image = _DET_IMAGE * (det.image_size / 96) ** 2
        found["det"] = models * det.steps * det.batch_size * image
        found["rest"] += models * _predicted(params) * image * _FORWARD
    return found


def _small(params: Params) -> float | None:
    """The work of the generator's U-Net, if train_gen makes it or made it: 1.0 for 32 pixels and 48 channels."""
    generate, gen = params.generate, params.train_gen
    if gen.method == "scratch" and generate.model.name == GENERATOR:
        return (gen.scratch.size / 32) ** 2 * (gen.scratch.unet.channels[0] / 48) ** 2
    trained = gen.method == "lora" and generate.model.name == GENERATOR  # that folder holds the LoRA alone
    folder = Path((gen.lora.model if trained else generate.model).name).expanduser()
    if not (folder / LEARNED_FILE).exists():
        return None
    unet = read_facts(folder / "unet/config.json", _Unet)
    return (unet.sample_size / 8) ** 2 * (unet.block_out_channels[0] / 48) ** 2


def _predicted(params: Params) -> int:
    """How many corrupted test images evaluate predicts with a model."""
    robustness = params.evaluate.robustness
    return len(robustness.corruptions) * len(robustness.severities) * robustness.images if robustness else 0


def _seen(scratch: ScratchParams) -> int:
    return scratch.vae.steps * scratch.vae.batch_size + scratch.unet.steps * scratch.unet.batch_size


def _disk(params: Params, images: Images) -> float:
    """Bytes of the synthetic images, of the models, as if these were resnet18 and yolov8n, and of the real images in
    the merged set of each seed, here and in DVC's cache."""
    tasks = [task for task in ("cls", "det") if getattr(params.download, task) is not None]
    models = 2 * len(params.seeds) * sum(_MODEL_BYTES[task] for task in tasks)
    return _COPIES * (images.pixels * _PNG + models) + 2 * len(params.seeds) * images.real


def _made_before() -> int:
    """Bytes of earlier runs: what they made is not made again."""
    folders = [work_folder("."), *map(Path, ("data", "models", ".dvc/cache"))]
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
