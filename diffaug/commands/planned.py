"""The plan of the synthetic images, made from real images that are on the disk before `download` has run."""

import math
from collections import Counter
from collections.abc import Mapping

from diffaug.commands.estimate import Images
from diffaug.dataset.records import ImageSet
from diffaug.generation.plan.jobs import Plan
from diffaug.generation.plan.plan import plan_for
from diffaug.merging.choosing import per_class
from diffaug.params import Params
from diffaug.params.download import FashionMnist
from diffaug.params.merge import DRAWN
from diffaug.runtime.errors import UserError
from diffaug.sources.real import RealData

_MOST = 2_000_000  # images of one plan, which lies in memory


def plan_on(params: Params, data: Mapping[str, RealData]) -> Images:
    """How many images the plan draws and makes for the tasks in `data`. Raises UserError if it cannot be done."""
    cls, det = (_train(data.get(task)) for task in ("cls", "det"))
    count = params.generate.cls.made * len(cls.names) + params.generate.det.made(len(det))
    if count > _MOST:
        raise UserError(
            f"params.yaml: generate: per_class and per_real ask for {count} images, but at most {_MOST} are planned; "
            "lower them"
        )
    plan = plan_for(params.generate, cls, det)
    _refuse_unknown_classes(params, cls, det)
    if params.merge.recipe in DRAWN:
        _refuse_too_few(params, plan)
    sizes = [size for job in plan.images for size in job.size] + [side for record in det for side in record.size]
    return Images(len(plan.drawn), len(plan.images) + len(plan.scenes), max(sizes, default=0))


def _train(data: RealData | None) -> ImageSet:
    return ImageSet((), ()) if data is None else ImageSet(data.names, data.splits["train"])


def _refuse_unknown_classes(params: Params, cls: ImageSet, det: ImageSet) -> None:
    """A generator from random weights can draw only the classes on which it is trained."""
    if params.train_gen.method != "scratch":
        return
    names = {"cls": cls.names, "det": det.names}
    if isinstance(params.download.cls, FashionMnist):
        from torchvision.datasets import FashionMNIST

        names["cls"] = tuple(FashionMNIST.classes)
    source = params.train_gen.images
    learned = names["det" if source == "real/det/train" else "cls"]
    wanted = {name: task for task in ("cls", "det") for name in names[task]}
    unknown = [name for name in wanted if learned and name not in learned]
    if unknown:
        raise UserError(
            f"params.yaml: train_gen.images: a generator trained on {source} can draw {', '.join(learned)}, but "
            f"{wanted[unknown[0]]} needs {', '.join(unknown)}; train it on images of all these classes, name a "
            "pre-trained model in generate.model, or set one of the two tasks of download to null"
        )


def _refuse_too_few(params: Params, plan: Plan) -> None:
    """Raises UserError if merge.ratio asks for more images of a class, or more scenes, than will be made."""
    ratio = params.merge.ratio
    made = Counter(job.label for job in plan.images)
    for label, wanted in per_class(plan.cls, ratio).items():
        if wanted > made[label or 0]:
            real = sum(record.label == label for record in plan.cls)
            enough = math.ceil(wanted / (params.generate.cls.oversample or 1.0))
            raise UserError(
                f"params.yaml: merge.ratio {ratio:g} needs {wanted} images of {plan.cls.names[label or 0]} ({real} "
                f"real ones), but generate.cls makes {made[label or 0]}; raise per_class to {enough}, or lower the "
                f"ratio to {_rounded_down(made[label or 0] / real)}"
            )
    wanted = round(ratio * len(plan.det))
    if wanted > len(plan.scenes):
        raise UserError(
            f"params.yaml: merge.ratio {ratio:g} needs {wanted} scenes, but generate.det makes {len(plan.scenes)} (its "
            "modes leave out scenes without an object); raise per_real, or lower the ratio to "
            f"{_rounded_down(len(plan.scenes) / len(plan.det))}"
        )


def _rounded_down(ratio: float) -> str:
    return f"{math.floor(100 * ratio) / 100:g}"
