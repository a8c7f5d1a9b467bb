"""The plan of the synthetic images, made from real images that are on the disk before `download` has run."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from diffaug.commands.estimate import Images
from diffaug.dataset.records import ImageSet
from diffaug.generation.plan.counts import per_class
from diffaug.generation.plan.jobs import Plan
from diffaug.generation.plan.plan import plan_for
from diffaug.hub.learned import Learned
from diffaug.merging.choosing import demand
from diffaug.params import Params
from diffaug.params.base import GENERATOR, is_local
from diffaug.params.download import FashionMnist
from diffaug.params.merge import DRAWN
from diffaug.runtime.errors import UserError
from diffaug.runtime.work import work_folder
from diffaug.segmenting.kinds import KEY
from diffaug.segmenting.objects import Objects, assume_all
from diffaug.sources.real import RealData

_MOST = 2_000_000  # images of one plan, which lies in memory


def plan_on(params: Params, data: Mapping[str, RealData]) -> Images:
    """How many images the plan draws and makes for the tasks in `data`. Raises UserError if it cannot be done."""
    cls, det = (_train(data.get(task)) for task in ("cls", "det"))
    real = Counter(cls.names[record.label] for record in cls if record.label is not None)
    drawn = per_class(params.generate.cls, {name: real[name] for name in cls.names})
    draws = params.image_draws
    count = (sum(drawn.values()) + params.generate.det.made(len(det))) * len(draws)
    if count > _MOST:
        raise UserError(
            f"params.yaml: generate: per_class and per_real ask for {count} images, but at most {_MOST} are planned; "
            "lower them"
        )
    plan = plan_for(params.generate, cls, det, draws[:1], _objects(params))
    _refuse_unknown_classes(params, plan)
    if params.merge.recipe in DRAWN:
        _compare_with_demand(params, plan)
    made = len(plan.images) + len(plan.scenes)
    pixels = sum(math.prod(job.size) for job in plan.images)
    pixels += sum(math.prod(record.size) for record in det) * len(plan.scenes) // max(1, len(det))
    weight = sum(len(record.image) for images in (cls, det) for record in images)
    return Images(len(draws) * len(plan.drawn), len(draws) * made, len(draws) * pixels, weight)


def _objects(params: Params) -> Objects:
    """What finds the objects of the images: a segmenter is not run here, so it counts as finding each; without one,
    what is found is kept for `generate`."""
    generate, paste = params.generate, params.generate.det.modes.paste
    if not (generate.cls.modes.inpaint or (paste and paste.objects == "train")):
        return Objects()
    if generate.segmenter is None:
        from diffaug.segmenting.finding import find_for  # its libraries take seconds to import

        return find_for(generate, work_folder("generate"))
    print(f"{KEY}: note: it is not run here; how many objects it finds is known when `generate` begins")
    return assume_all(generate.segmenter.name)


def _train(data: RealData | None) -> ImageSet:
    return ImageSet((), ()) if data is None else ImageSet(data.names, data.splits["train"])


def _refuse_unknown_classes(params: Params, plan: Plan) -> None:
    """A generator that diffaug trains, or trained before, can draw only the classes on which it is trained."""
    names = {"cls": plan.cls.names, "det": plan.det.names}
    draws = {"cls": params.generate.draws(True, False), "det": params.generate.draws(False, True)}
    wanted = {name: task for task in ("cls", "det") if draws[task] for name in names[task]}
    if params.train_gen.method != "scratch":
        _refuse_unknown_to_a_folder(params, wanted)
        return
    if isinstance(params.download.cls, FashionMnist):
        from torchvision.datasets import FashionMNIST

        names["cls"] = tuple(FashionMNIST.classes)
    sources = params.train_gen.sets
    learned = {name for source in sources for name in names["det" if source == "real/det/train" else "cls"]}
    unknown = [name for name in wanted if learned and name not in learned]
    if unknown:
        raise UserError(
            f"params.yaml: train_gen.images: a generator trained on {', '.join(sources)} can draw "
            f"{', '.join(sorted(learned))}, but {wanted[unknown[0]]} needs {', '.join(unknown)}; train it on images of "
            "all these classes (images: real has those of both tasks), or name a pre-trained model in generate.model"
        )


def _refuse_unknown_to_a_folder(params: Params, wanted: Mapping[str, str]) -> None:
    name = params.generate.model.name
    if params.train_gen.method != "none" or not is_local(name):
        return
    learned = Learned.read(Path(name).expanduser()).classes
    unknown = [one for one in wanted if learned and one not in learned]
    if unknown:
        raise UserError(
            f"params.yaml: generate.model: {name} can draw {', '.join(learned)}, but {wanted[unknown[0]]} needs "
            f"{', '.join(unknown)}; name a model that knows these, or train one here (train_gen.method: scratch, "
            f"generate.model.name: {GENERATOR}, download.unseen_by: null)"
        )


def _compare_with_demand(params: Params, plan: Plan) -> None:
    """Raises UserError if merge asks for more images of a class, or more scenes, than will be made; with on_shortage
    lower, it is printed."""
    for text in filter(None, (_lacking_images(params, plan), _lacking_scenes(params, plan))):
        if params.merge.on_shortage == "fail":
            raise UserError(f"params.yaml: {params.merge.amount} {text}; or set merge.on_shortage: lower")
        print(f"params.yaml: note: {params.merge.amount} {text}; now what there is will be added (on_shortage: lower)")


def _lacking_images(params: Params, plan: Plan) -> str | None:
    made = Counter(job.label for job in plan.images)
    real = Counter(record.label for record in plan.cls)
    wanted = {label: count for label, count in demand(plan.cls, params.merge).wanted.items() if label is not None}
    short = [label for label, count in wanted.items() if count > made[label]]
    if not short:
        return None
    first, rest = short[0], ", ".join(plan.cls.names[label] for label in short[1:])
    enough = math.ceil(max(wanted[label] for label in short) / (params.generate.cls.oversample or 1.0))
    works = _rounded_down(min(made[label] / real[label] for label in short))
    return (
        f"needs {wanted[first]} images of {plan.cls.names[first]} ({real[first]} real ones), but generate.cls makes "
        f"{made[first]}{f' (too few of {rest} too)' if rest else ''}; raise per_class to {enough}, or lower the "
        + (f"ratio to {works}" if params.merge.ratio is not None else "target")
    )


def _lacking_scenes(params: Params, plan: Plan) -> str | None:
    """Of a ratio; a target counts boxes, and the plan does not know how many a scene will have."""
    wanted = round((params.merge.ratio or 0) * len(plan.det))
    if wanted <= len(plan.scenes):
        return None
    return (
        f"needs {wanted} scenes, but generate.det makes {len(plan.scenes)} (its modes leave out scenes without an "
        f"object); raise per_real, or lower the ratio to {_rounded_down(len(plan.scenes) / len(plan.det))}"
    )


def _rounded_down(ratio: float) -> str:
    return f"{math.floor(100 * ratio) / 100:g}"
