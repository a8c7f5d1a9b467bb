"""The sections of `filter`, `merge`, `train_cls`, `train_det` and `evaluate`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from diffaug.params.base import Count, Fraction, Positive, Rate, Section, Seed


class ImageChecks(Section):
    min_std: Annotated[float, Field(ge=0, le=128)]
    min_distance_train: Annotated[int, Field(ge=0, le=64)]
    min_distance_heldout: Annotated[int, Field(ge=0, le=64)]
    min_distance_generated: Annotated[int, Field(ge=0, le=64)]


class ClsChecks(ImageChecks):
    min_label_probability: Fraction


class Audit(Section):
    """What the control detector says of a generated scene's boxes.

    sure: the confidence from which its word counts: a box that it finds in the source so surely must be found again,
    and a new object that it finds so surely is one; found: the confidence from which a box counts as found again;
    min_recall: the share of a class's val objects that it must find for its not finding a new one to count.
    """

    sure: Fraction
    found: Fraction
    min_iou: Fraction
    min_recall: Fraction
    new_objects: Literal["reject", "ignore", "keep"]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.found > self.sure:
            raise ValueError(f"found {self.found:g} must not be above sure {self.sure:g}")
        return self


class DetChecks(ImageChecks):
    min_changed: Fraction
    min_box_side: Annotated[float, Field(ge=1)]
    audit: Audit | None


class FilterParams(Section):
    cls: ClsChecks
    det: DetChecks


class MergeParams(Section):
    ratio: Annotated[float, Field(ge=0)]
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
    """Weights to download: a .safetensors file, or a .pt file of Ultralytics, opened only if its hash is this."""

    url: Annotated[str, Field(pattern=r"^https?://.+\.(pt|safetensors)$")]
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


class EvaluateParams(Section):
    resamples: Annotated[int, Field(ge=100)]
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    seed: Seed
    sheet_rows: Annotated[int, Field(ge=1, le=20)]
