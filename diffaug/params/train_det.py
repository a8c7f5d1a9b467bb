"""The section of `train_det`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from diffaug.params.base import Count, Fraction, LocalPath, Positive, Rate, Release, Section, matching


class TrainDetParams(Section):
    model: Annotated[
        LocalPath,
        matching(r".+\.yaml", "give a YOLO's .yaml, such as yolo11n.yaml; weights are given in train_det.weights"),
    ]
    weights: LocalPath | Release | None
    image_size: Annotated[int, Field(ge=32, le=2048, multiple_of=32)]
    steps: Positive
    batch_size: Positive
    learning_rate: Rate
    augmentation: Literal["plain", "strong"]
    flip: Fraction
    mosaic: Fraction
    eval_every: Positive
    workers: Count

    @model_validator(mode="after")
    def _whole_epochs(self) -> Self:
        if self.steps % self.eval_every:
            raise ValueError(f"steps {self.steps} must be a multiple of eval_every {self.eval_every}")
        return self
