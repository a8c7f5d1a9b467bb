"""How many images are drawn of each class."""

from collections.abc import Mapping

from diffaug.params.generate import ClsGeneration
from diffaug.runtime.errors import UserError


def per_class(params: ClsGeneration, real: Mapping[str, int]) -> dict[str, int]:
    """By class, the number of images to draw. real: how many real train images each class has.

    `balance` draws what a class lacks compared with the largest one. Raises UserError if a mapping leaves out a class,
    or names one that does not exist.
    """
    asked = params.per_class
    if isinstance(asked, int):
        counts = dict.fromkeys(real, asked)
    elif asked == "balance":
        counts = {name: max(real.values(), default=0) - count for name, count in real.items()}
    else:
        _check(asked, real)
        counts = {name: asked[name] for name in real}
    return {name: round(count * (params.oversample or 1.0)) for name, count in counts.items()}


def _check(asked: Mapping[str, int], real: Mapping[str, int]) -> None:
    unknown, missing = sorted(asked.keys() - real.keys()), [name for name in real if name not in asked]
    if unknown:
        raise UserError(
            f"params.yaml: generate.cls.per_class.{unknown[0]}: there is no such class; the classes are "
            f"{', '.join(real)}"
        )
    if missing:
        raise UserError(
            f"params.yaml: generate.cls.per_class: {', '.join(missing)} is missing; give a number for each class, 0 "
            "for one of which nothing is to be drawn"
        )
