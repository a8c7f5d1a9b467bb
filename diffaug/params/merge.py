"""The section of `merge`, and the names of the recipes."""

from typing import Annotated, Literal

from pydantic import Field

from diffaug.params.base import Section, Seed

Recipe = Literal["synthetic", "unfiltered", "duplicate", "classic", "vae_roundtrip", "shuffled_labels", "real_more"]
DRAWN = ("synthetic", "unfiltered", "shuffled_labels")  # the recipes that add generated images
Ratio = Annotated[float, Field(ge=0, le=1000)]


class MergeParams(Section):
    """mix: concat, the additions are added to the real images and seen `synthetic_weight` times as often; or replace, a
    real image is replaced by one of its own variants with probability `replace_probability`."""

    recipe: Recipe
    ratio: Ratio
    mix: Literal["concat", "replace"]
    synthetic_weight: Annotated[float, Field(gt=0, le=100)]
    replace_probability: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
