"""The section of `train_cls`."""

from typing import Annotated, Literal

from pydantic import Field

from diffaug.params.base import Fraction, LocalPath, Positive, Rate, Section, matching


class TrainClsParams(Section):
    model: Annotated[
        str,
        matching(
            r"(resnet|resnext|wide_resnet)\w+",
            "allowed are torchvision's ResNets, such as resnet18, resnext50_32x4d or wide_resnet50_2",
        ),
    ]
    weights: LocalPath | None
    image_size: Annotated[int, Field(ge=16, le=1024)]
    steps: Positive
    batch_size: Annotated[int, Field(ge=2, le=100_000)]
    learning_rate: Rate
    weight_decay: Fraction
    schedule: Literal["cosine", "one_cycle"]
    augmentation: Literal["plain", "strong"]
    flip: Fraction
    shift: Annotated[float, Field(ge=0, lt=0.5)]
    eval_every: Positive
