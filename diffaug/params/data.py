"""The section of `download`: where real images come from."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from diffaug.params.base import Count, Positive, Section, Seed


class FashionMnist(Section):
    source: Literal["fashion_mnist"]
    train_per_class: Positive
    val_per_class: Positive
    test_per_class: Positive
    pool: Count


class Scenes(Section):
    source: Literal["scenes"]
    size: Annotated[int, Field(ge=64, le=1024, multiple_of=32)]
    train: Positive
    val: Positive
    test: Positive
    max_objects: Annotated[int, Field(ge=1, le=12)]


class Folder(Section):
    source: Literal["folder"]
    path: str
    val_fraction: Annotated[float, Field(gt=0, lt=0.9)]
    test_fraction: Annotated[float, Field(gt=0, lt=0.9)]

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        if self.val_fraction + self.test_fraction >= 0.95:
            raise ValueError("val_fraction + test_fraction must leave at least 5 % for train")
        return self


class DownloadParams(Section):
    seed: Seed
    cls: Annotated[FashionMnist | Folder, Field(discriminator="source")] | None
    det: Annotated[Scenes | Folder, Field(discriminator="source")] | None

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if self.cls is None and self.det is None:
            raise ValueError("cls and det are both null: at least one task needs a source")
        if isinstance(self.det, Scenes) and self.cls is None:
            raise ValueError("det.source 'scenes' is composed of the images of cls, which is null")
        return self
