"""The section of `train_gen`: which generator, and how it is trained."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from diffaug.params.base import Context, Fraction, ModelName, Positive, Rate, Section, Seed, Template, Text, matching
from diffaug.params.sampling import BelowPrompts, Guidance, Side, Steps

Loss = Literal["mse", "huber"]
_OWN = "own/"


class VaeParams(Section):
    channels: Annotated[list[Annotated[int, Field(gt=0, multiple_of=8)]], Field(min_length=3, max_length=3)]
    latent_channels: Annotated[int, Field(ge=1, le=32)]
    steps: Positive
    batch_size: Positive
    learning_rate: Rate
    kl_weight: Annotated[float, Field(ge=0)]


class UnetParams(Section):
    channels: Annotated[list[Annotated[int, Field(gt=0, multiple_of=8)]], Field(min_length=1, max_length=4)]
    text_width: Annotated[int, Field(gt=0, multiple_of=8)]
    steps: Positive
    batch_size: Positive
    learning_rate: Rate
    caption_dropout: Fraction
    loss: Loss


class ScratchParams(Section):
    size: Annotated[int, Field(ge=16, le=256)]
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    vae: VaeParams
    unet: UnetParams

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        factor = 4 * 2 ** (len(self.unet.channels) - 1)
        if self.size % factor:
            raise ValueError(
                f"size {self.size} must be a multiple of {factor}: the VAE divides it by 4, the U-Net by {factor // 4}"
            )
        return self


class PriorParams(Section):
    """Prior preservation (DreamBooth, Ruiz et al. 2022, arXiv:2208.12242)."""

    caption: Text
    images: Positive
    steps: Steps
    guidance_scale: Guidance
    weight: Annotated[float, Field(gt=0)]


class SamplesParams(Section):
    """Pictures that are drawn while a generator is trained."""

    every: Positive
    prompts: Annotated[list[Text], Field(min_length=1, max_length=16)]
    steps: Steps
    guidance_scale: Guidance


class TunedParams(Section):
    """How a pre-trained model is trained further, in whatever way."""

    model: ModelName
    size: Side
    steps: Positive
    batch_size: Positive
    gradient_accumulation: Positive
    gradient_checkpointing: bool
    learning_rate: Rate
    loss: Loss


class LoraParams(TunedParams):
    rank: Annotated[int, Field(ge=1, le=512)]
    alpha: Positive
    text_encoder: bool
    optimizer: Literal["adamw", "adamw8bit"]
    caption_dropout: Fraction
    prior: PriorParams | None = None


class TrainGenParams(Section):
    method: Literal["scratch", "lora", "none"]
    images: Annotated[
        str,
        matching(
            r"pool|real|real/(cls|det)/train|own/\w[\w.-]*",
            "must be pool, real/cls/train, real/det/train, real, or own/NAME, the folder data/own/NAME",
        ),
    ]
    caption: Template
    captions: BelowPrompts | None
    context: Context
    flip: bool
    seed: Seed
    checkpoint_every: Positive
    samples: SamplesParams | None = None
    scratch: ScratchParams
    lora: LoraParams

    @property
    def own(self) -> Path | None:
        """The folder of pictures that are not of the data set; None if those of the data set are learned."""
        return Path("data") / self.images if self.images.startswith(_OWN) else None

    @property
    def captions_key(self) -> str:
        """The parameter from which the captions come."""
        if self.own is not None:
            return "train_gen.images"
        return "train_gen.caption" if self.captions is None else "train_gen.captions"

    @model_validator(mode="after")
    def _captions_fit(self) -> Self:
        if self.captions is not None and self.own is not None:
            raise ValueError(f"captions must be null: the pictures of {self.images} have their captions beside them")
        if self.captions is not None and "real/det/train" in self.sets:
            raise ValueError("captions must be null: they are of whole images, and of det the objects are learned")
        if self.own is not None and self.method == "scratch":
            raise ValueError(f"images is {self.images}, which has no classes; scratch learns to draw classes, use lora")
        prior = self.lora.prior
        if prior is not None and ("{class}" in prior.caption) == (self.own is not None):
            what = "must not contain {class}: own pictures have none" if self.own else "must contain {class}"
            raise ValueError(f"lora.prior.caption {what}")
        return self

    @property
    def sets(self) -> tuple[str, ...]:
        """The folders below data/ that are read; `real` is the train images of both tasks."""
        return ("real/cls/train", "real/det/train") if self.images == "real" else (self.images,)
