"""The section of `filter`: which scores are computed, and their thresholds."""

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from diffaug.params.base import Fraction, LocalPath, ModelName, Positive, Release, Section, Template

Distance = Annotated[float, Field(ge=0)]
Against = Literal["val_and_test", "val"]
AUTO = "auto"  # the threshold is taken from real train images, see `diffaug.scoring.thresholds`


def _auto_or_number(most: float) -> AfterValidator:
    def check(value: float | str) -> float | str:
        if value != AUTO and not (isinstance(value, float) and 0 <= value <= most):
            raise ValueError(f"give auto, or a number {f'from 0 to {most:g}' if most < math.inf else 'of 0 or more'}")
        return value

    return AfterValidator(check)


class TorchvisionNetwork(Section):
    """A classifier of torchvision without its last layer; weights: a .safetensors path, or torchvision's name."""

    torchvision: str
    weights: LocalPath


class HubNetwork(Section):
    """An image model of transformers, such as DINOv2 or CLIP."""

    hub: ModelName


Network = Literal["control"] | TorchvisionNetwork | HubNetwork


class Degenerate(Section):
    min_std: Annotated[float | str, _auto_or_number(128)]
    min_entropy: Annotated[float | str, _auto_or_number(8)]
    min_sharpness: Annotated[float | str, _auto_or_number(math.inf)]
    flagged: Literal["reject", "keep"]


class Neighbours(Section):
    """Smallest allowed distances to the nearest train image, val or test image, and earlier synthetic image; 0: off."""

    min_train: Distance
    min_heldout: Annotated[float | str, _auto_or_number(math.inf)]
    min_generated: Distance


class Embedding(Neighbours):
    network: Network


class Label(Section):
    """Thresholds on the control classifier's prediction. max_rank: largest rank of the intended class, 1 is the first;
    max_probability: above it, the image is too easy to teach anything."""

    min_probability: Fraction
    max_rank: Positive | None
    max_probability: Fraction | None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_probability is not None and self.max_probability <= self.min_probability:
            raise ValueError(
                f"max_probability {self.max_probability:g} must be above min_probability {self.min_probability:g}"
            )
        return self


class Text(Section):
    """Thresholds on CLIP scores: the similarity of image and prompt (cosine x 100), and the probability of the prompt
    among the prompts of all classes."""

    model: ModelName
    prompt: Template
    min_similarity: Annotated[float, Field(ge=-100, le=100)]
    min_probability: Fraction


class Aesthetic(Section):
    """LAION's predictor on CLIP ViT-L/14, about 1 to 10; without a head, `model` is a folder of both."""

    model: ModelName
    head: LocalPath | Release | None = None
    min: float


class Boxes(Section):
    min_changed: Fraction
    min_side: Annotated[float, Field(ge=1)]


class Audit(Section):
    """How the control detector checks the boxes of a generated scene.

    sure: the confidence from which a detection counts as certain: a box detected so in the source must be found again,
    and a new object detected so is accepted as one; found: the confidence from which a box counts as found again;
    min_recall: the detector must find this share of a class's val objects, or else a new object of the class that it
    misses does not count.
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


class Best(Section):
    """Of the images that pass the thresholds, keep the best by a ledger column: `count` per class (scenes: in all)."""

    count: Positive
    by: str
    order: Literal["highest", "lowest"]


class Quality(Section):
    """How similar the kept images are to real train images as a set; nearest: neighbours for precision, recall etc."""

    network: Network
    nearest: Positive


NOT_SCORES = ("best", "quality")  # the sections that do not score single images


class ClsChecks(Section):
    """Each section except the last two is a score: the module of its name in scoring/. Without the section the score is
    not computed. The first section that an image fails gives the reason for its rejection."""

    degenerate: Degenerate | None = None
    hash: Neighbours | None = None
    correlation: Neighbours | None = None
    embedding: Embedding | None = None
    label: Label | None = None
    text: Text | None = None
    aesthetic: Aesthetic | None = None
    best: Best | None = None
    quality: Quality | None = None


class DetChecks(Section):
    """The same for scenes."""

    degenerate: Degenerate | None = None
    hash: Neighbours | None = None
    correlation: Neighbours | None = None
    embedding: Embedding | None = None
    boxes: Boxes | None = None
    audit: Audit | None = None
    aesthetic: Aesthetic | None = None
    best: Best | None = None
    quality: Quality | None = None


class FilterParams(Section):
    """against: the held-out images whose copies are rejected."""

    against: Against
    cls: ClsChecks
    det: DetChecks
