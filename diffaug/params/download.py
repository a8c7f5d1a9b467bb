"""The section of `download`: the source of the real images."""

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from diffaug.params.base import Count, HubName, LocalPath, Positive, Section, Seed, check_hub_id, check_local, is_local

HeldOut = Annotated[float, Field(gt=0, lt=0.9)]


class FewShot(Section):
    """This many images per class, drawn from a published set; `pool`: more images, for real_more or the generator.
    train_files: the first and the end of the numbers of the training images that may be drawn, for train, val and pool:
    a generator that is published can have learned from the others alone."""

    train_per_class: Positive
    val_per_class: Positive
    test_per_class: Positive
    pool: Count
    train_files: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.train_files is not None and self.train_files[0] >= self.train_files[1]:
            raise ValueError(f"train_files {self.train_files} must be [first, end], the end above the first")
        return self


class FashionMnist(FewShot):
    source: Literal["fashion_mnist"]


class Torchvision(FewShot):
    source: Literal["torchvision"]
    name: Literal[
        "caltech101",
        "cifar10",
        "cifar100",
        "dtd",
        "eurosat",
        "fgvc_aircraft",
        "flowers102",
        "food101",
        "gtsrb",
        "oxford_iiit_pet",
        "stl10",
        "svhn",
    ]


class Scenes(Section):
    source: Literal["scenes"]
    size: Annotated[int, Field(ge=64, le=1024, multiple_of=32)]
    train: Positive
    val: Positive
    test: Positive
    max_objects: Annotated[int, Field(ge=1, le=12)]


class Fractions(Section):
    """The shares of val and test, used if these splits are not given and are drawn from train."""

    val_fraction: HeldOut
    test_fraction: HeldOut

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        if self.val_fraction + self.test_fraction >= 0.95:
            raise ValueError("val_fraction + test_fraction must leave at least 5 % for train")
        return self


def _fields(pattern: str) -> str:
    if not re.search(r"\{\w+\}", pattern) or re.search(r"[{}]", re.sub(r"\{[^\W\d]\w*\}", "", pattern)):
        raise ValueError("must be a pattern with a name in braces, such as {patient}_*")
    return pattern


class Folder(Fractions):
    """The user's own images, in one folder per class.

    limit_per_class: a part of them, to try a run; group: a pattern of file names, whose values stay in one split.
    """

    source: Literal["folder"]
    path: LocalPath
    limit_per_class: Annotated[int, Field(ge=3, le=1_000_000)] | None = None  # one for each split
    group: Annotated[str, AfterValidator(_fields)] | None = None

    @property
    def on_disk(self) -> bool:
        """Whether it can be read without a download; always true for a folder."""
        return True


class BoxFolder(Folder):
    """The user's own images with boxes; the format is detected unless it is named.

    images, labels: the folders (or one file of labels), relative to `path`, where looking does not suffice.
    """

    format: Literal["yolo", "coco", "voc"] | None = None
    classes: Annotated[list[str], Field(min_length=1)] | None = None
    images: LocalPath | None = None
    labels: LocalPath | None = None

    @model_validator(mode="after")
    def _classes_fit(self) -> Self:
        if self.classes is not None and self.format in ("yolo", "coco"):
            raise ValueError(f"classes is only for format voc, since {self.format} files name their classes; remove it")
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes has a class twice: {', '.join(self.classes)}; name each once")
        return self


class Bccd(Section):
    source: Literal["bccd"]


class OxfordPetBoxes(Fractions):
    source: Literal["oxford_iiit_pet"]


class Crops(Section):
    """The boxes of det, cropped as classification images."""

    source: Literal["crops"]
    context: Annotated[float, Field(ge=1)]
    min_side: Positive
    per_class: Positive | None = None


class HubSplits(Section):
    """The names of the splits in the data set; null: drawn from train."""

    train: str
    val: str | None
    test: str | None


class Hub(Fractions):
    """A data set of the Hugging Face hub or of ModelScope, or a folder in their layout.

    image: the column of images; group: a column, whose values stay in one split.
    """

    source: Literal["hf"]
    hub: HubName | None = None
    name: LocalPath
    revision: str | None = None
    config: str | None = None
    image: str
    group: str | None = None
    splits: HubSplits

    @property
    def on_disk(self) -> bool:
        """Whether the name is a folder and not a hub id."""
        return is_local(self.name)

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if self.on_disk:
            check_local(self.name, self.revision, self.hub)
        else:
            check_hub_id(self.name, self.revision, self.hub, datasets=True)
        return self


class HubLabels(Hub):
    label: str


class HubBoxes(Hub):
    objects: str


ClsSource = FashionMnist | Torchvision | Folder | Crops | HubLabels
DetSource = Scenes | BoxFolder | Bccd | OxfordPetBoxes | HubBoxes


def source_names() -> set[str]:
    """The allowed values of `source`, for both tasks."""
    sources = (*get_args(ClsSource), *get_args(DetSource))
    return {name for source in sources for name in get_args(source.model_fields["source"].annotation)}


def _folder(name: str) -> str:
    if not is_local(name):
        raise ValueError(f"{name!r} must be the folder of a model, as ./folder or /folder")
    return name


class DownloadParams(Section):
    """unseen_by: the generator's folder, none of whose training images may be in val or test; null: it does not
    state them."""

    seed: Seed
    strict: bool
    unseen_by: Annotated[LocalPath, AfterValidator(_folder)] | None = None
    cls: Annotated[ClsSource, Field(discriminator="source")] | None
    det: Annotated[DetSource, Field(discriminator="source")] | None

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if self.cls is None and self.det is None:
            raise ValueError("cls and det are both null: at least one task needs a source")
        if isinstance(self.det, Scenes) and self.cls is None:
            raise ValueError("det.source 'scenes' is composed of the images of cls, but cls is null; give cls a source")
        if isinstance(self.cls, Crops) and self.det is None:
            raise ValueError("cls.source 'crops' is cut out of the images of det, but det is null; give det a source")
        if (
            isinstance(self.cls, Torchvision)
            and self.cls.name == "oxford_iiit_pet"
            and isinstance(self.det, OxfordPetBoxes)
        ):
            raise ValueError(
                "cls and det would draw the same photographs into different splits; take cls.source 'crops'"
            )
        if isinstance(self.cls, Crops) and isinstance(self.det, Scenes):
            raise ValueError(
                "cls.source 'crops' is cut out of det, and det.source 'scenes' is composed of cls; give one of them "
                "another source"
            )
        return self
