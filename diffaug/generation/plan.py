"""The plan: every image that is to be made, as a list of jobs, before the first one is made."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffaug.params import GenerateParams, Paste
from diffaug.records import ImageSet


@dataclass(frozen=True)
class Job:
    """One image to draw with the diffusion pipeline.

    size: (width, height) of the result in pixels; color: "L" or "RGB"; seed: this image's own;
    source_id, strength: the image that img2img starts from, and how far it goes from it (0 to 1); None for txt2img.
    """

    id: str
    index: int
    mode: str
    label: int
    prompt: str
    negative_prompt: str
    seed: int
    size: tuple[int, int]
    color: str
    source_id: str | None = None
    strength: float | None = None


@dataclass(frozen=True)
class SceneJob:
    """One detection scene to compose: drawn items pasted on a real train scene. `seed` decides where."""

    id: str
    index: int
    source_id: str
    items: tuple[str, ...]
    seed: int


def image_seed(seed: int, source: str | None, mode: str, index: int) -> int:
    """An image's own seed below 2**63: a hash of what the image is, never of its place in a batch."""
    text = "\0".join([str(seed), source or "", mode, str(index)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def plan_cls(params: GenerateParams, train: ImageSet) -> list[Job]:
    """txt2img and img2img jobs for classification; the k-th job is of class k mod classes, so more jobs append.

    The l-th img2img job of a class starts from its l-th train image, round and round.
    """
    if not len(train):
        return []
    size, color = common_format(train)
    classes = len(train.names)
    jobs = [
        _txt2img(params, train.names, "txt2img", index, size, color)
        for index in range(params.cls.txt2img.per_class * classes)
    ]
    sources = [[record for record in train if record.label == label] for label in range(classes)]
    for index in range(params.cls.img2img.per_class * classes):
        label, turn = index % classes, index // classes
        source = sources[label][turn % len(sources[label])]
        image = source.open()
        jobs.append(
            Job(
                id=f"img2img-{index:06d}",
                index=index,
                mode="img2img",
                label=label,
                prompt=params.prompt.replace("{class}", train.names[label]),
                negative_prompt=params.negative_prompt,
                seed=image_seed(params.seed, source.sha256, "img2img", index),
                size=image.size,
                color=image.mode,
                source_id=source.id,
                strength=params.cls.img2img.strength,
            )
        )
    return jobs


def plan_items(params: GenerateParams, names: Sequence[str], size: tuple[int, int], color: str) -> list[Job]:
    """txt2img jobs for single objects that are to be pasted into scenes."""
    count = params.det.paste.items_per_class * len(names)
    return [_txt2img(params, names, "item", index, size, color) for index in range(count)]


def plan_scenes(params: GenerateParams, train: ImageSet, items: Sequence[Job]) -> list[SceneJob]:
    """Scenes for detection: the k-th starts from train scene k mod scenes; classes of pasted items are drawn evenly."""
    paste: Paste = params.det.paste
    by_class = [[job.id for job in items if job.label == label] for label in range(len(train.names))]
    jobs = []
    for index in range(round(paste.per_real * len(train))):
        source = train.records[index % len(train)]
        seed = image_seed(params.seed, source.sha256, "paste", index)
        generator = np.random.default_rng(seed)
        chosen = generator.integers(len(train.names), size=generator.integers(1, paste.max_objects + 1))
        drawn = tuple(by_class[label][generator.integers(len(by_class[label]))] for label in chosen)
        jobs.append(SceneJob(f"paste-{index:06d}", index, source.id, drawn, seed))
    return jobs


def common_format(images: ImageSet) -> tuple[tuple[int, int], str]:
    """The most frequent (width, height) and color mode ("L" or "RGB") of a set: what txt2img images are saved as."""
    opened = [record.open() for record in images]
    size = Counter(sorted(image.size for image in opened)).most_common(1)[0][0]
    color = Counter(sorted(image.mode for image in opened)).most_common(1)[0][0]
    return size, color


def batches(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """Jobs of one mode and strength together, cut into fixed ranges of `size`.

    The cut comes before anything is shared out or left out, so it is the same after a restart.
    """
    ordered = sorted(jobs, key=lambda job: (job.mode, job.strength or 0.0))
    groups = [list(group) for _, group in itertools.groupby(ordered, key=lambda job: (job.mode, job.strength))]
    return [group[start : start + size] for group in groups for start in range(0, len(group), size)]


def _txt2img(
    params: GenerateParams, names: Sequence[str], mode: str, index: int, size: tuple[int, int], color: str
) -> Job:
    label = index % len(names)
    return Job(
        id=f"{mode}-{index:06d}",
        index=index,
        mode="txt2img",
        label=label,
        prompt=params.prompt.replace("{class}", names[label]),
        negative_prompt=params.negative_prompt,
        seed=image_seed(params.seed, None, mode, index),
        size=size,
        color=color,
    )
