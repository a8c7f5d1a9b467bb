"""Jobs: what is to be drawn or composed, one frozen value an image."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diffaug.errors import UserError
from diffaug.generation.prompts import Variant
from diffaug.params.generation import GenerateParams, Mode
from diffaug.records import ImageSet, Record

AS_DRAWN = (0, 0)  # the size of a job whose image stays as large as the model draws it


@dataclass(frozen=True, order=True)
class Settings:
    """What the images of one call of the pipeline have in common.

    strength: how far the image goes from its source (0 to 1), 0 for none; scheduler: a name of schedulers.py; width,
    height: of the model's canvas in pixels, 0 for its own; eta: -1 for none; negative: whether there is a
    negative prompt.
    """

    mode: str
    scheduler: str
    num_inference_steps: int
    guidance_scale: float
    strength: float = 0.0
    eta: float = -1.0
    width: int = 0
    height: int = 0
    negative: bool = False

    @property
    def pipeline(self) -> str:
        """The kind of pipeline that draws the mode: both ways of inpainting a scene are inpainting."""
        return self.mode.partition("_")[0]


@dataclass(frozen=True)
class Part:
    """The part of a real scene that a job draws anew.

    region: (left, top, right, bottom) in the scene's pixels; object: the number of the box redrawn, -1 for none;
    padding, feather: pixels, see `diffaug.generation.masks`.
    """

    region: tuple[int, int, int, int]
    object: int = -1
    padding: int = 0
    feather: int = 0


@dataclass(frozen=True)
class Job:
    """One image to draw with the diffusion pipeline.

    label: its class, or -1 for a whole scene; size: (width, height) of the result in pixels; color: "L" or "RGB"; seed:
    this image's own; source_id: the real train image that it starts from, if any: a scene where `part` is given, else a
    classification image.
    """

    id: str
    index: int
    label: int
    prompt: str
    negative_prompt: str
    seed: int
    size: tuple[int, int]
    color: str
    settings: Settings
    source_id: str | None = None
    part: Part | None = None

    @property
    def mode(self) -> str:
        return self.settings.mode


@dataclass(frozen=True)
class SceneJob:
    """One detection scene to compose on a real train scene, from parts drawn anew or objects to paste.

    items: ids of the jobs that draw them or, of objects cut from train, `object_id`; `seed` decides where they go.
    """

    id: str
    index: int
    mode: str
    source_id: str
    items: tuple[str, ...]
    seed: int


def image_seed(seed: int, source: str | None, mode: str, index: int) -> int:
    """An image's own seed below 2**63: a hash of what the image is, never of its place in a batch."""
    text = "\0".join([str(seed), source or "", mode, str(index)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def shares(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """How many of `total` images each mode makes; a larger total never takes an image away from a mode."""
    counts = dict.fromkeys(weights, 0)
    for _ in range(total):
        counts[min(weights, key=lambda name: (counts[name] + 1) / weights[name])] += 1
    return counts


def job_settings(params: GenerateParams, name: str, mode: Mode | None, variant: Variant, turn: int) -> Settings:
    """The settings of one job: the variant's come before the mode's, the mode's before the general ones."""

    def chosen(key: str) -> Any:
        own = variant.overrides.get(key, getattr(mode, key, None))
        return getattr(params, key) if own is None else own

    strengths: list[float] = getattr(mode, "strength", None) or [0.0]
    strength, steps = strengths[turn % len(strengths)], chosen("num_inference_steps")
    if strength and int(steps * strength) < 1:
        raise UserError(
            f"{steps} steps x strength {strength:g} is below one step, so {variant.prompt!r} would change nothing "
            f"in {name}; raise one of them"
        )
    eta = chosen("eta")
    return Settings(
        mode=name,
        scheduler=chosen("scheduler"),
        num_inference_steps=steps,
        guidance_scale=float(chosen("guidance_scale")),
        strength=strength,
        eta=-1.0 if eta is None else eta,
        width=chosen("width") or 0,
        height=chosen("height") or 0,
        negative=bool(variant.negative_prompt),
    )


def common_format(formats: Mapping[str, tuple[tuple[int, int], str]]) -> tuple[tuple[int, int], str]:
    """What images without a source are saved as: the middle (width, height) by area, the most frequent color mode."""
    sizes = sorted((size for size, _ in formats.values()), key=lambda size: (size[0] * size[1], size))
    size = sizes[(len(sizes) - 1) // 2]
    color = Counter(sorted(color for _, color in formats.values())).most_common(1)[0][0]
    return size, color


def formats_of(images: ImageSet) -> dict[str, tuple[tuple[int, int], str]]:
    """(width, height) and color mode of every image by its id."""
    return {record.id: format_of(record) for record in images}


def format_of(record: Record) -> tuple[tuple[int, int], str]:
    """(width, height) and color mode of an image."""
    image = record.open()
    return image.size, image.mode


def batches(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """Jobs of one class and the same settings together, cut into fixed ranges of `size`.

    The cut comes before anything is shared out or left out, so it is the same after a restart; and a class's own, so
    that another class's prompt never changes it.
    """

    def group(job: Job) -> tuple[Settings, int]:
        return job.settings, job.label

    ordered = sorted(jobs, key=lambda job: (group(job), job.index, job.id))
    groups = [list(members) for _, members in itertools.groupby(ordered, key=group)]
    return [members[start : start + size] for members in groups for start in range(0, len(members), size)]


def pass_on(turn: int, length: int) -> int:
    """The turn for the next list, moved on by one whenever a list of this length has come round."""
    return turn + turn // length if length > 1 else turn
