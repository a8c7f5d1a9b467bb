"""The section of `filter`: which scores are taken, and what they select."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from diffaug.params.base import Fraction, ModelName, Positive, Release, Section, Template

Distance = Annotated[float, Field(ge=0)]


class TorchvisionNetwork(Section):
    """A classifier of torchvision without its last layer; weights: a .safetensors path, or torchvision's name."""

    torchvision: str
    weights: str


class HubNetwork(Section):
    """An image model that transformers opens, such as DINOv2 or CLIP."""

    hub: ModelName


Network = Literal["control"] | TorchvisionNetwork | HubNetwork


class Degenerate(Section):
    min_std: Annotated[float, Field(ge=0, le=128)]
    min_entropy: Annotated[float, Field(ge=0, le=8)]
    min_sharpness: Distance
    flagged: Literal["reject", "keep"]


class Neighbours(Section):
    """Least distances to the nearest train image, val or test image, and earlier synthetic image; 0 rejects none."""

    min_train: Distance
    min_heldout: Distance
    min_generated: Distance


class Embedding(Neighbours):
    network: Network


class Label(Section):
    """The control classifier's word. max_rank: of the intended class among all, 1 is the first; max_probability: above,
    the image is too easy to teach anything."""

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
    """CLIP's word: the similarity of image and prompt (cosine x 100), and the prompt's probability among those of all
    classes."""

    model: ModelName
    prompt: Template
    min_similarity: Annotated[float, Field(ge=-100, le=100)]
    min_probability: Fraction


class Aesthetic(Section):
    """LAION's predictor on CLIP ViT-L/14, about 1 to 10."""

    model: ModelName
    head: str | Release
    min: float


class Boxes(Section):
    min_changed: Fraction
    min_side: Annotated[float, Field(ge=1)]


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


class Best(Section):
    """Of what the thresholds leave, the best by a column of the ledger: so many a class, or in all for scenes."""

    count: Positive
    by: str
    order: Literal["highest", "lowest"]


class Quality(Section):
    """How like real train images the kept ones are as a set; nearest: neighbours of precision, recall and so on."""

    network: Network
    nearest: Positive


NOT_SCORES = ("best", "quality")  # the sections that take no score of single images


class ClsChecks(Section):
    """Each section but the last two is a score, the module of its name in scoring/; without it the score is not taken.
    The first section that an image fails gives its reason."""

    degenerate: Degenerate | None = None
    hash: Neighbours | None = None
    pixels: Neighbours | None = None
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
    pixels: Neighbours | None = None
    embedding: Embedding | None = None
    boxes: Boxes | None = None
    audit: Audit | None = None
    aesthetic: Aesthetic | None = None
    best: Best | None = None
    quality: Quality | None = None


class FilterParams(Section):
    cls: ClsChecks
    det: DetChecks
