"""The sections of `merge`, `train_cls`, `train_det` and `evaluate`."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from diffaug.params.base import Count, Fraction, Positive, Rate, Section, Seed

Recipe = Literal["synthetic", "unfiltered", "duplicate", "classic", "vae_roundtrip", "shuffled_labels", "real_more"]
Ratio = Annotated[float, Field(ge=0)]


class MergeParams(Section):
    """mix: concat, the additions join the real images, seen `synthetic_weight` times as often; or replace, a real image
    is replaced with `replace_probability` by one of its own variants."""

    recipe: Recipe
    ratio: Ratio
    mix: Literal["concat", "replace"]
    synthetic_weight: Annotated[float, Field(gt=0, le=100)]
    replace_probability: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


class TrainClsParams(Section):
    model: Annotated[str, Field(pattern=r"^(resnet|resnext|wide_resnet)\w+$")]
    weights: str | None
    image_size: Annotated[int, Field(ge=16, le=1024)]
    steps: Positive
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Rate
    weight_decay: Fraction
    schedule: Literal["cosine", "one_cycle"]
    flip: Fraction
    shift: Annotated[float, Field(ge=0, lt=0.5)]
    eval_every: Positive


class Release(Section):
    """Weights to download, opened only if the hash is this: .safetensors, .pth with tensors, .pt of Ultralytics."""

    url: Annotated[str, Field(pattern=r"^https?://.+\.(pt|pth|safetensors)$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class TrainDetParams(Section):
    model: Annotated[str, Field(pattern=r"\.yaml$")]
    weights: str | Release | None
    image_size: Annotated[int, Field(ge=32, le=2048, multiple_of=32)]
    steps: Positive
    batch_size: Positive
    learning_rate: Rate
    flip: Fraction
    mosaic: Fraction
    eval_every: Positive
    workers: Count

    @model_validator(mode="after")
    def _whole_epochs(self) -> Self:
        if self.steps % self.eval_every:
            raise ValueError(f"steps {self.steps} must be a multiple of eval_every {self.eval_every}")
        return self


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
        raise ValueError("must name each once")
    return values


class RobustnessParams(Section):
    """Both arms on at most `images` test images a task, under every corruption at every severity."""

    corruptions: Annotated[list[Corruption], Field(min_length=1), AfterValidator(_once)]
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1), AfterValidator(_once)]
    images: Annotated[int, Field(ge=50)]


class EvaluateParams(Section):
    resamples: Annotated[int, Field(ge=100)]
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    seed: Seed
    sheet_rows: Annotated[int, Field(ge=1, le=20)]
    robustness: RobustnessParams | None = None
