"""The plan: every image that is to be made, as a list of jobs, before the first one is made."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffaug.errors import UserError
from diffaug.generation.masks import find_objects
from diffaug.generation.prompts import Variant, class_variants
from diffaug.params.generation import GenerateParams, Inpaint, Mode
from diffaug.records import ImageSet, Record


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


@dataclass(frozen=True)
class Job:
    """One image to draw with the diffusion pipeline.

    label: its class, or -1 for a scene; size: (width, height) of the result in pixels; color: "L" or "RGB"; seed: this
    image's own; source_id: the real train image that it starts from, if any.
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

    @property
    def mode(self) -> str:
        return self.settings.mode


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


def shares(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """How many of `total` images each mode makes; a larger total never takes an image away from a mode."""
    counts = dict.fromkeys(weights, 0)
    for _ in range(total):
        counts[min(weights, key=lambda name: (counts[name] + 1) / weights[name])] += 1
    return counts


def plan_cls(params: GenerateParams, train: ImageSet) -> list[Job]:
    """Jobs for classification in every mode given; the k-th job of a mode is of class k mod classes, so more append.

    The l-th job of a class starts from its l-th train image, round and round; prompts and strengths take turns too.
    """
    if not len(train):
        return []
    modes = params.cls.modes.given()
    counts = shares(params.cls.per_class, {name: mode.weight for name, mode in modes.items()})
    formats = formats_of(train)
    usual = common_format(formats)
    jobs = []
    for name, mode in modes.items():
        variants = class_variants(params, mode, train.names)
        sources = None if name == "txt2img" else _sources(train, name, mode)
        for index in range(counts[name] * len(train.names)):
            label, turn = index % len(train.names), index // len(train.names)
            source = sources[label][turn % len(sources[label])] if sources else None
            # Each list's turn passes on to the next, so that no source, prompt and strength always go together.
            place = _pass_on(turn, len(sources[label]) if sources else 1)
            variant = variants[label][place % len(variants[label])]
            place = _pass_on(place, len(variants[label]))
            size, color = formats[source.id] if source else usual
            jobs.append(
                Job(
                    id=f"{name}-{index:06d}",
                    index=index,
                    label=label,
                    prompt=variant.prompt,
                    negative_prompt=variant.negative_prompt,
                    seed=image_seed(params.seed, source.sha256 if source else None, name, index),
                    size=size,
                    color=color,
                    settings=job_settings(params, name, mode, variant, place),
                    source_id=source.id if source else None,
                )
            )
    return jobs


def plan_items(params: GenerateParams, names: Sequence[str], size: tuple[int, int], color: str) -> list[Job]:
    """txt2img jobs for single objects that are to be pasted into scenes."""
    paste = params.det.modes.paste
    if paste is None or not names:
        return []
    variants = class_variants(params, None, names)
    jobs = []
    for index in range(paste.items_per_class * len(names)):
        label, turn = index % len(names), index // len(names)
        variant = variants[label][turn % len(variants[label])]
        jobs.append(
            Job(
                id=f"item-{index:06d}",
                index=index,
                label=label,
                prompt=variant.prompt,
                negative_prompt=variant.negative_prompt,
                seed=image_seed(params.seed, None, "item", index),
                size=size,
                color=color,
                settings=job_settings(params, "txt2img", None, variant, turn),
            )
        )
    return jobs


def plan_scenes(params: GenerateParams, train: ImageSet, items: Sequence[Job]) -> list[SceneJob]:
    """Scenes with pasted objects: the k-th starts from train scene k mod scenes; classes of items are drawn evenly."""
    paste = params.det.modes.paste
    if paste is None:
        return []
    by_class = [[job.id for job in items if job.label == label] for label in range(len(train.names))]
    jobs = []
    for index in range(_scene_counts(params, train)["paste"]):
        source = train.records[index % len(train)]
        seed = image_seed(params.seed, source.sha256, "paste", index)
        generator = np.random.default_rng(seed)
        chosen = generator.integers(len(train.names), size=generator.integers(1, paste.max_objects + 1))
        drawn = tuple(by_class[label][generator.integers(len(by_class[label]))] for label in chosen)
        jobs.append(SceneJob(f"paste-{index:06d}", index, source.id, drawn, seed))
    return jobs


def plan_backgrounds(params: GenerateParams, train: ImageSet) -> list[Job]:
    """Scenes whose background is drawn anew around the real objects, which keep their pixels and boxes."""
    mode = params.det.modes.inpaint
    if mode is None or not len(train):
        return []
    variants = class_variants(params, mode, ["objects"])[0]
    jobs = []
    for index in range(_scene_counts(params, train)["inpaint"]):
        source, place = train.records[index % len(train)], _pass_on(index, len(train))
        variant = variants[place % len(variants)]
        size, color = _format(source)
        jobs.append(
            Job(
                id=f"background-{index:06d}",
                index=index,
                label=-1,
                prompt=variant.prompt,
                negative_prompt=variant.negative_prompt,
                seed=image_seed(params.seed, source.sha256, "background", index),
                size=size,
                color=color,
                settings=job_settings(params, "inpaint", mode, variant, _pass_on(place, len(variants))),
                source_id=source.id,
            )
        )
    return jobs


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
    """The most frequent (width, height) and color mode of some images: what images without a source are saved as."""
    size = Counter(sorted(size for size, _ in formats.values())).most_common(1)[0][0]
    color = Counter(sorted(color for _, color in formats.values())).most_common(1)[0][0]
    return size, color


def formats_of(images: ImageSet) -> dict[str, tuple[tuple[int, int], str]]:
    """(width, height) and color mode of every image by its id."""
    return {record.id: _format(record) for record in images}


def batches(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """Jobs of one class and the same settings together, cut into fixed ranges of `size`.

    The cut comes before anything is shared out or left out, so it is the same after a restart; and a class's own, so
    that another class's prompt never changes it.
    """

    def group(job: Job) -> tuple[Settings, int]:
        return job.settings, job.label

    ordered = sorted(jobs, key=lambda job: (group(job), job.index))
    groups = [list(members) for _, members in itertools.groupby(ordered, key=group)]
    return [members[start : start + size] for members in groups for start in range(0, len(members), size)]


def _pass_on(turn: int, length: int) -> int:
    """The turn for the next list, moved on by one whenever a list of this length has come round."""
    return turn + turn // length if length > 1 else turn


def _scene_counts(params: GenerateParams, train: ImageSet) -> dict[str, int]:
    return shares(round(params.det.per_real * len(train)), params.det.modes.weights())


def _sources(train: ImageSet, name: str, mode: Mode) -> list[list[Record]]:
    """Every class's train images that this mode can start from. Raises UserError where a class has none."""
    usable = list(train)
    if isinstance(mode, Inpaint):
        usable = [record for record in train if find_objects(record) is not None]
    sources = [[record for record in usable if record.label == label] for label in range(len(train.names))]
    empty = [train.names[label] for label, records in enumerate(sources) if not records]
    if empty:
        raise UserError(
            f"params.yaml: generate.cls.modes.{name}: no train image of {', '.join(empty)} has an object that stands "
            "out from a plain background; use img2img, or controlnet"
            if isinstance(mode, Inpaint)
            else f"params.yaml: generate.cls.modes.{name}: there is no train image of {', '.join(empty)} to start from"
        )
    return sources


def _format(record: Record) -> tuple[tuple[int, int], str]:
    image = record.open()
    return image.size, image.mode
