"""The section of `evaluate`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from diffaug.params.base import Positive, Section, Seed

Corruption = Literal[
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
    "speckle_noise",
    "gaussian_blur",
    "spatter",
    "saturate",
]


def _once(values: list) -> list:
    if len(set(values)) < len(values):
        raise ValueError("must name each value once")
    return values


class RobustnessParams(Section):
    """Both arms on at most `images` test images per task, under every corruption at every severity."""

    corruptions: Annotated[list[Corruption], Field(min_length=1), AfterValidator(_once)]
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1), AfterValidator(_once)]
    images: Annotated[int, Field(ge=50, le=10_000_000)]


class PrimaryParams(Section):
    """The metric of each task on which its verdict rests."""

    cls: Literal["accuracy", "macro_f1"]
    det: Literal["mAP50_95", "mAP50"]


class EvaluateParams(Section):
    primary: PrimaryParams
    tried: Positive
    resamples: Annotated[int, Field(ge=100, le=1_000_000)]
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    seed: Seed
    robustness: RobustnessParams | None = None
