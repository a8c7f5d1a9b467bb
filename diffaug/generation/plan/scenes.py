"""The plan for detection: scenes with redrawn parts, and scenes with pasted objects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from diffaug.dataset.provenance import Part
from diffaug.dataset.records import ImageSet, Record
from diffaug.generation.plan.boxes import longer_sides, rarity
from diffaug.generation.plan.jobs import AS_DRAWN, Job, SceneJob, image_seed
from diffaug.generation.plan.objects import free_objects, pasted_classes
from diffaug.generation.plan.prompts import Variant, class_variants
from diffaug.generation.plan.settings import job_settings, pass_on, shares
from diffaug.params.generate import GenerateParams, InpaintObject, SceneMode
from diffaug.pictures.boxes import Region
from diffaug.pictures.squares import apart, square
from diffaug.runtime.errors import UserError

IDS = {"img2img": "redraw", "inpaint_background": "background", "inpaint_object": "object", "paste": "paste"}
_USUAL = (0.1, 0.9)  # quantiles of a class's longer sides; a box of another class may become this class between them


def plan_items(params: GenerateParams, names: Sequence[str], color: str) -> list[Job]:
    """txt2img jobs for single objects to paste into scenes of this color mode, in the size that the model draws."""
    paste = params.det.modes.paste
    if paste is None or paste.objects != "generated" or not names:
        return []
    variants = class_variants(params, None, names)
    pasted = pasted_classes(paste, names)
    jobs = []
    for index in range(paste.items_per_class * len(names)):
        label, turn = index % len(names), index // len(names)
        if label not in pasted:
            continue
        variant = variants[label][turn % len(variants[label])]
        jobs.append(
            Job(
                id=f"item-{index:06d}",
                index=index,
                label=label,
                prompt=variant.prompt,
                negative_prompt=variant.negative_prompt,
                seed=image_seed(params.seed, None, "item", index),
                size=AS_DRAWN,
                color=color,
                settings=job_settings(params, "txt2img", None, variant, turn),
            )
        )
    return jobs


def plan_pasted(params: GenerateParams, train: ImageSet, by_class: Sequence[Sequence[str]]) -> list[SceneJob]:
    """Scenes with pasted objects: scene k starts from train scene k mod scenes; rare classes are pasted more often.

    by_class: the ids of the objects of each class, see `objects_to_paste`.
    """
    paste = params.det.modes.paste
    if paste is None or not len(train):
        return []
    chances = rarity(train) * np.isin(np.arange(len(train.names)), pasted_classes(paste, train.names))
    chances /= chances.sum()
    jobs = []
    for index in range(_counts(params, train)["paste"]):
        source = train.records[index % len(train)]
        seed = image_seed(params.seed, source.sha256, "paste", index)
        generator = np.random.default_rng(seed)
        chosen = generator.choice(len(train.names), size=generator.integers(1, paste.max_objects + 1), p=chances)
        drawn = tuple(by_class[label][int(generator.integers(len(by_class[label])))] for label in chosen.tolist())
        jobs.append(SceneJob(f"paste-{index:06d}", index, "paste", source.id, drawn, seed))
    return jobs


def plan_redrawn(params: GenerateParams, train: ImageSet) -> tuple[list[Job], list[SceneJob]]:
    """Scenes with redrawn parts, and the jobs that draw the parts. Scenes without an object are left out.

    Raises UserError if a mode finds no object to start from.
    """
    jobs: list[Job] = []
    scenes: list[SceneJob] = []
    for name, mode in params.det.modes.redrawn().items() if len(train) else ():
        variants = _Variants(params, mode)
        for index, (source, targets) in enumerate(_chosen(params, name, mode, train)):
            id = f"{IDS[name]}-{index:06d}"
            size, color = source.size, source.color
            parts = []
            for number, target in enumerate(targets):
                # By scene, so that strengths are used in turn for any number of patches.
                variant, turn = variants.take(target.name(source, train.names), index + number)
                region = target.region or (0, 0, *size)
                parts.append(
                    Job(
                        id=f"{id}-{number}",
                        index=index,
                        label=target.label,
                        prompt=variant.prompt,
                        negative_prompt=variant.negative_prompt,
                        seed=image_seed(params.seed, source.sha256, f"{name} {number}", index),
                        size=(region[2] - region[0], region[3] - region[1]),
                        color=color,
                        settings=job_settings(params, name, mode, variant, turn),
                        source_id=source.id,
                        part=Part(
                            region,
                            target.object if isinstance(mode, InpaintObject) else -1,
                            getattr(mode, "padding", 0),
                            mode.feather,
                        ),
                    )
                )
            jobs += parts
            seed = image_seed(params.seed, source.sha256, name, index)
            scenes.append(SceneJob(id, index, name, source.id, tuple(part.id for part in parts), seed))
    return jobs, scenes


@dataclass(frozen=True)
class _Target:
    """An object to redraw, or around which to draw, as a class; without a region: the whole scene."""

    object: int
    label: int
    region: Region | None

    def name(self, source: Record, names: Sequence[str]) -> str:
        """The text for {class}: the object's class or, for a whole scene, the classes in it."""
        if self.label >= 0:
            return names[self.label]
        return " and ".join(names[label] for label in sorted(set(source.category)))


class _Variants:
    """The prompts for each text of {class}."""

    def __init__(self, params: GenerateParams, mode: SceneMode) -> None:
        self._params = params
        self._mode = mode
        self._known: dict[str, list[Variant]] = {}

    def take(self, name: str, turn: int) -> tuple[Variant, int]:
        """The next variant, and the turn for the next list."""
        if name not in self._known:
            self._known[name] = class_variants(self._params, self._mode, [name])[0]
        variants = self._known[name]
        return variants[turn % len(variants)], pass_on(turn, len(variants))


def _chosen(
    params: GenerateParams, name: str, mode: SceneMode, train: ImageSet
) -> Iterator[tuple[Record, list[_Target]]]:
    """The source and the targets of every scene of a mode, drawn with each scene's own seed."""
    rare = isinstance(mode, InpaintObject) and mode.target_class == "rare"
    usable = {
        record.id: free_objects(record) if isinstance(mode, InpaintObject) else list(range(len(record.bbox)))
        for record in train
    }
    sources = [record for record in train if usable[record.id]]
    if not sources:
        raise UserError(
            f"params.yaml: generate.det.modes.{name}: no train scene has an object to start from; add scenes, or "
            "remove the mode"
        )
    ranges = _Ranges(train)
    fitting = ranges.fitting(sources, usable) if rare else []
    for index in range(_counts(params, train)[name]):
        generator = np.random.default_rng(image_seed(params.seed, None, name, index))
        first: list[tuple[int, int]] = []
        source = sources[index % len(sources)]
        if rare:
            label = ranges.choose(list(range(len(train.names))), generator)
            source, object = fitting[label][generator.integers(len(fitting[label]))]
            first = [(object, label)]
        taken = {object for object, _ in first}
        others = [number for number in generator.permutation(usable[source.id]).tolist() if number not in taken]
        labels = [
            ranges.choose(ranges.classes(source, number), generator) if rare else source.category[number]
            for number in others
        ]
        yield source, _targets(source, [*first, *zip(others, labels)], mode)


def _targets(source: Record, objects: Sequence[tuple[int, int]], mode: SceneMode) -> list[_Target]:
    """The first objects whose squares do not overlap; without patches the whole scene, for one object or for all."""
    if mode.patches is None:
        object, label = objects[0]
        return [_Target(object, label if isinstance(mode, InpaintObject) else -1, None)]
    size = source.size
    targets: list[_Target] = []
    for object, label in objects:
        region = square(source.bbox[object], size, mode.patches.context)
        if len(targets) < mode.patches.per_scene and apart(region, [t.region for t in targets if t.region]):
            targets.append(_Target(object, label, region))
    return targets


class _Ranges:
    """The classes that a box may have by its size."""

    def __init__(self, train: ImageSet) -> None:
        self._chances = rarity(train)
        self._ranges = [np.quantile(sides, _USUAL) if sides else (0.0, 0.0) for sides in longer_sides(train)]

    def classes(self, source: Record, number: int) -> list[int]:
        """The object's own class, and the classes whose objects usually have its size."""
        side, own = max(source.bbox[number][2:]), source.category[number]
        return [label for label, (low, high) in enumerate(self._ranges) if label == own or low <= side <= high]

    def choose(self, classes: Sequence[int], generator: np.random.Generator) -> int:
        """One of the classes; rare ones are chosen more often."""
        chances = self._chances[list(classes)]
        return int(generator.choice(classes, p=chances / chances.sum()))

    def fitting(self, sources: Sequence[Record], usable: dict[str, list[int]]) -> list[list[tuple[Record, int]]]:
        """For every class, the objects that can become this class. A class that has none gets all objects."""
        all_objects = [(record, number) for record in sources for number in usable[record.id]]
        fitting: list[list[tuple[Record, int]]] = [[] for _ in self._ranges]
        for item in all_objects:
            for label in self.classes(*item):
                fitting[label].append(item)
        return [items or all_objects for items in fitting]


def _counts(params: GenerateParams, train: ImageSet) -> dict[str, int]:
    return shares(params.det.made(len(train)), params.det.modes.weights())
