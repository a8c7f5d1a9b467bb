"""The plan for classification: a list of jobs, one per image, made before the first one is drawn."""

from collections import Counter
from collections.abc import Collection

from tqdm import tqdm

from diffaug.dataset.records import ImageSet, Record
from diffaug.generation.plan.counts import per_class
from diffaug.generation.plan.formats import common_format
from diffaug.generation.plan.jobs import Job, image_seed
from diffaug.generation.plan.prompts import class_variants
from diffaug.generation.plan.settings import job_settings, pass_on, shares
from diffaug.params.generate import GenerateParams, Inpaint, Mode
from diffaug.runtime.errors import UserError
from diffaug.segmenting.kinds import KEY
from diffaug.segmenting.objects import Objects


def plan_cls(params: GenerateParams, train: ImageSet, objects: Objects) -> list[Job]:
    """Jobs for classification in all given modes. Job k of a mode is of class k mod classes, so a larger count appends;
    a class with a smaller count leaves out numbers.

    Job l of a class starts from its train image l, in a cycle; prompts and strengths are used in turn too.
    """
    if not len(train):
        return []
    modes = params.cls.modes.given()
    real = Counter(train.names[record.label] for record in train if record.label is not None)
    made = per_class(params.cls, {name: real[name] for name in train.names})
    counts = [shares(made[name], {mode: settings.weight for mode, settings in modes.items()}) for name in train.names]
    usual = common_format(train)
    formats = {record.id: (record.size, record.color) for record in train}
    jobs = []
    for name, mode in modes.items():
        variants = class_variants(params, mode, train.names)
        drawn = [label for label, count in enumerate(counts) if count[name]]
        sources = None if name == "txt2img" else _sources(train, name, mode, drawn, objects)
        for index in range(max(count[name] for count in counts) * len(train.names)):
            label, turn = index % len(train.names), index // len(train.names)
            if turn >= counts[label][name]:
                continue
            source = sources[label][turn % len(sources[label])] if sources else None
            # Each list's turn is passed on to the next, so that all combinations of source, prompt and strength occur.
            place = pass_on(turn, len(sources[label]) if sources else 1)
            variant = variants[label][place % len(variants[label])]
            place = pass_on(place, len(variants[label]))
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


def _sources(train: ImageSet, name: str, mode: Mode, drawn: Collection[int], objects: Objects) -> list[list[Record]]:
    """Every class's train images from which this mode can start. Raises UserError if a class of `drawn` has none."""
    usable = list(train)
    if isinstance(mode, Inpaint):
        looked = tqdm(train, desc="generate: objects", unit="image", mininterval=1.0, delay=3.0, leave=False)
        usable = [record for record in looked if objects.in_image(record, train.names[record.label or 0]) is not None]
    sources = [[record for record in usable if record.label == label] for label in range(len(train.names))]
    empty = [train.names[label] for label in drawn if not sources[label]]
    absent = {record.label for record in train}.isdisjoint(train.names.index(one) for one in empty)
    if empty:
        raise UserError(
            f"params.yaml: generate.cls.modes.{name}: no object was found in any train image of {', '.join(empty)}; "
            f"{_advice(objects)}, or use img2img or controlnet"
            if isinstance(mode, Inpaint) and not absent
            else f"params.yaml: generate.cls.modes.{name}: there is no train image of {', '.join(empty)} to start from"
        )
    return sources


def _advice(objects: Objects) -> str:
    if objects.segmenter is not None:
        return f"{objects.segmenter.name} looked for them: name another network in {KEY}"
    return f"they were looked for by colours alone: name a network that finds objects in {KEY}"
