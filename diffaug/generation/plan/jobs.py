"""Jobs: what is to be drawn or composed, one frozen value per image."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from diffaug.dataset.provenance import Part
from diffaug.dataset.records import ImageSet, Record
from diffaug.segmenting.objects import Objects

FOR_ALL: tuple[None] = (None,)  # one draw, for all training seeds
AS_DRAWN = (0, 0)  # the size of a job whose image keeps the size that the model draws


@dataclass(frozen=True, order=True)
class Settings:
    """The settings that the images of one call of the pipeline share.

    strength: how much the source image changes (0 to 1), 0 without a source; scheduler: a name of schedulers.py; width,
    height: of the model's canvas in pixels, 0 for its own size; eta: -1 for none; negative: whether there is a negative
    prompt.
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
        """The kind of pipeline that draws the mode; both modes that inpaint a scene use inpainting."""
        return self.mode.partition("_")[0]


@dataclass(frozen=True)
class Job:
    """One image to draw with the diffusion pipeline.

    label: its class, or -1 for a whole scene; size: (width, height) of the result in pixels; color: "L" or "RGB"; seed:
    of this image; source_id: the real train image that it starts from, if any: a scene if `part` is given, otherwise a
    classification image; draw: the training seed that it is for, None if for all.
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
    draw: int | None = None

    @property
    def mode(self) -> str:
        return self.settings.mode


@dataclass(frozen=True)
class SceneJob:
    """One detection scene to compose on a real train scene, from redrawn parts or pasted objects.

    items: ids of the jobs that draw them or, for objects cut from train, `object_id`; `seed` sets their places.
    """

    id: str
    index: int
    mode: str
    source_id: str
    items: tuple[str, ...]
    seed: int
    draw: int | None = None


def image_seed(seed: int, source: str | None, mode: str, index: int) -> int:
    """The seed of an image, below 2**63: a hash of these arguments, so it does not depend on the batch."""
    text = "\0".join([str(seed), source or "", mode, str(index)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def batches(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """Jobs of one draw and class with the same settings, cut into batches of `size`.

    The cut happens before work is divided or skipped, so it is the same after a restart. Each class and each draw has
    its own batches, so a change of another class's prompt, or another draw, does not change them.
    """

    def group(job: Job) -> tuple[int, Settings, int]:
        return -1 if job.draw is None else job.draw, job.settings, job.label

    ordered = sorted(jobs, key=lambda job: (group(job), job.index, job.id))
    groups = [list(members) for _, members in itertools.groupby(ordered, key=group)]
    return [members[start : start + size] for members in groups for start in range(0, len(members), size)]


@dataclass(frozen=True)
class Plan:
    """All jobs of the stage: classification images, objects and parts of scenes to draw, scenes to compose; for each of
    the draws. objects: finds what the images show."""

    cls: ImageSet
    det: ImageSet
    images: tuple[Job, ...]
    items: tuple[Job, ...]
    parts: tuple[Job, ...]
    scenes: tuple[SceneJob, ...]
    draws: tuple[int | None, ...] = FOR_ALL
    objects: Objects = field(default_factory=Objects)

    @property
    def drawn(self) -> tuple[Job, ...]:
        """All jobs for the diffusion pipeline."""
        return (*self.images, *self.items, *self.parts)

    def object_of(self, record: Record) -> np.ndarray | None:
        """bool (H, W): the object of a classification image; None if it is not clear."""
        return self.objects.in_image(record, self.cls.names[record.label or 0])
