"""The section of `merge`, and the names of the recipes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from diffaug.params.base import Positive, Section, Seed

Recipe = Literal["synthetic", "unfiltered", "duplicate", "classic", "vae_roundtrip", "shuffled_labels", "real_more"]
DRAWN = ("synthetic", "unfiltered", "shuffled_labels")  # the recipes that add generated images
Ratio = Annotated[float, Field(ge=0, le=1000)]


class Level(Section):
    """Every class is filled up to this many images or, for detection, boxes."""

    per_class: Positive


class MergeParams(Section):
    """mix: concat, the additions are added to the real images and seen `synthetic_weight` times as often; or replace, a
    real image is replaced by one of its own variants with probability `replace_probability`. target: balance fills
    every class up to the largest. on_shortage: lower adds what there is."""

    recipe: Recipe
    ratio: Ratio | None
    target: Level | Literal["balance"] | None
    on_shortage: Literal["fail", "lower"]
    mix: Literal["concat", "replace"]
    synthetic_weight: Annotated[float, Field(gt=0, le=100)]
    replace_probability: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ratio is None) == (self.target is None):
            found = "both are null" if self.ratio is None else f"both are given (ratio {self.ratio:g})"
            raise ValueError(f"ratio and target: {found}; give one of them, and set the other to null")
        return self

    @property
    def amount(self) -> str:
        """How many images are asked for, in words, for messages."""
        if self.ratio is not None:
            return f"merge.ratio {self.ratio:g}"
        return f"merge.target {f'per_class {self.target.per_class}' if isinstance(self.target, Level) else self.target}"
