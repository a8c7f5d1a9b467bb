"""params.yaml as frozen models: an unknown key, a wrong type or a value out of range is one clear line, at once.

No field has a default: every knob stands in params.yaml, so this module alone never changes what a stage makes.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from diffaug.errors import UserError
from diffaug.schedulers import SCHEDULERS

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


def _known_scheduler(name: str) -> str:
    if name not in SCHEDULERS:
        raise ValueError(f"allowed are {', '.join(sorted(SCHEDULERS))}")
    return name


def _template(text: str) -> str:
    if "{class}" not in text:
        raise ValueError("must contain {class}, which stands for the class name")
    return text


Template = Annotated[str, AfterValidator(_template)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class FashionMnist(_Section):
    source: Literal["fashion_mnist"]
    train_per_class: Positive
    val_per_class: Positive
    test_per_class: Positive
    pool: Count


class Scenes(_Section):
    source: Literal["scenes"]
    size: Annotated[int, Field(ge=64, le=1024, multiple_of=32)]
    train: Positive
    val: Positive
    test: Positive
    max_objects: Annotated[int, Field(ge=1, le=12)]


class Folder(_Section):
    source: Literal["folder"]
    path: str
    val_fraction: Annotated[float, Field(gt=0, lt=0.9)]
    test_fraction: Annotated[float, Field(gt=0, lt=0.9)]

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        if self.val_fraction + self.test_fraction >= 0.95:
            raise ValueError("val_fraction + test_fraction must leave at least 5 % for train")
        return self


class DownloadParams(_Section):
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


class VaeParams(_Section):
    channels: Annotated[list[Annotated[int, Field(gt=0, multiple_of=8)]], Field(min_length=3, max_length=3)]
    latent_channels: Annotated[int, Field(ge=1, le=32)]
    steps: Positive
    batch_size: Positive
    learning_rate: Rate
    kl_weight: Annotated[float, Field(ge=0)]


class UnetParams(_Section):
    channels: Annotated[list[Annotated[int, Field(gt=0, multiple_of=8)]], Field(min_length=1, max_length=4)]
    text_width: Annotated[int, Field(gt=0, multiple_of=8)]
    steps: Positive
    batch_size: Positive
    learning_rate: Rate
    caption_dropout: Fraction


class TrainGenParams(_Section):
    images: Literal["pool", "real/cls/train", "real/det/train"]
    caption: Template
    size: Annotated[int, Field(ge=16, le=256)]
    flip: bool
    seed: Seed
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    checkpoint_every: Positive
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


class Txt2Img(_Section):
    per_class: Count


class Img2Img(_Section):
    per_class: Count
    strength: Annotated[float, Field(gt=0, le=1)]


class Paste(_Section):
    per_real: Annotated[float, Field(ge=0)]
    items_per_class: Positive
    max_objects: Annotated[int, Field(ge=1, le=12)]
    scale: Annotated[list[Annotated[float, Field(gt=0, le=8)]], Field(min_length=2, max_length=2)]
    max_overlap: Fraction

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale is [smallest, largest], but {self.scale[0]:g} is above {self.scale[1]:g}")
        return self


class ClsModes(_Section):
    txt2img: Txt2Img
    img2img: Img2Img


class DetModes(_Section):
    paste: Paste


class GenerateParams(_Section):
    seed: Seed
    batch_size: Positive
    prompt: Template
    negative_prompt: str
    scheduler: Annotated[str, AfterValidator(_known_scheduler)]
    num_inference_steps: Annotated[int, Field(ge=1, le=1000)]
    guidance_scale: Annotated[float, Field(ge=0, le=50)]
    cls: ClsModes
    det: DetModes

    @model_validator(mode="after")
    def _img2img_moves(self) -> Self:
        strength = self.cls.img2img.strength
        if int(self.num_inference_steps * strength) < 1:
            raise ValueError(
                f"num_inference_steps {self.num_inference_steps} x cls.img2img.strength {strength:g} is below one "
                "step, so img2img would change nothing; raise one of them"
            )
        return self


class ImageChecks(_Section):
    min_std: Annotated[float, Field(ge=0, le=128)]
    min_distance_train: Annotated[int, Field(ge=0, le=64)]
    min_distance_heldout: Annotated[int, Field(ge=0, le=64)]
    min_distance_generated: Annotated[int, Field(ge=0, le=64)]


class ClsChecks(ImageChecks):
    min_label_probability: Fraction


class DetChecks(ImageChecks):
    min_box_side: Annotated[float, Field(ge=1)]


class FilterParams(_Section):
    cls: ClsChecks
    det: DetChecks


class MergeParams(_Section):
    ratio: Annotated[float, Field(ge=0)]
    seed: Seed


class TrainClsParams(_Section):
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


class TrainDetParams(_Section):
    model: Annotated[str, Field(pattern=r"\.yaml$")]
    weights: str | None
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


class EvaluateParams(_Section):
    resamples: Annotated[int, Field(ge=100)]
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    seed: Seed
    sheet_rows: Annotated[int, Field(ge=1, le=20)]


class Params(_Section):
    seeds: Annotated[list[Seed], Field(min_length=1)]
    download: DownloadParams
    train_gen: TrainGenParams
    generate: GenerateParams
    filter: FilterParams
    merge: MergeParams
    train_cls: TrainClsParams
    train_det: TrainDetParams
    evaluate: EvaluateParams

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds {self.seeds} has a seed twice; each trains one model, so each must differ")
        cls, det = self.download.cls, self.download.det
        if (self.train_gen.images, None) in [("real/cls/train", cls), ("real/det/train", det)]:
            raise ValueError(f"train_gen.images is {self.train_gen.images!r}, but that task's source is null")
        if det is not None and self.merge.ratio > self.generate.det.paste.per_real:
            raise ValueError(
                f"merge.ratio {self.merge.ratio:g} needs at least as many scenes: raise generate.det.paste.per_real, "
                f"now {self.generate.det.paste.per_real:g}"
            )
        made = self.generate.cls.txt2img.per_class + self.generate.cls.img2img.per_class
        if isinstance(cls, FashionMnist) and self.merge.ratio * cls.train_per_class > made:
            raise ValueError(
                f"merge.ratio {self.merge.ratio:g} x train_per_class {cls.train_per_class} needs more than the {made} "
                "images a class that generate.cls makes: raise its per_class, or lower the ratio"
            )
        if self.generate.guidance_scale > 1 and self.train_gen.unet.caption_dropout == 0:
            raise ValueError(
                f"generate.guidance_scale {self.generate.guidance_scale:g} above 1 needs "
                "train_gen.unet.caption_dropout above 0 (0.1, say), since guidance compares with no caption"
            )
        if self.train_gen.images == "pool" and not (isinstance(cls, FashionMnist) and cls.pool):
            raise ValueError(
                "train_gen.images is 'pool', but download.cls has no pool (only fashion_mnist with "
                "pool above 0 has one); set train_gen.images to 'real/cls/train' or 'real/det/train'"
            )
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """The checked parameters. Raises UserError: one line with the key, the value found and what is allowed."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run from the repository's root") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected sections such as 'download:', found {type(raw).__name__}")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise UserError(_one_line(path, error)) from None


def _one_line(path: Path, error: ValidationError) -> str:
    problems = [_describe(problem) for problem in error.errors(include_url=False)]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{path}: {problems[0]}{more}"


def _describe(problem: Any) -> str:
    # A union's branch name ("fashion_mnist") stands in the location, though it is no key of the file.
    branches = {"fashion_mnist", "folder", "scenes"}
    key = (
        ".".join(str(part) for place, part in enumerate(problem["loc"]) if not place or part not in branches)
        or "the file"
    )
    match problem["type"]:
        case "extra_forbidden":
            return (
                f"{key}: unknown key (value {problem['input']!r}); see the comments in params.yaml for the allowed ones"
            )
        case "missing":
            return f"{key}: missing; every key must be given, see the params.yaml that came with the project"
        case "value_error":
            found = "" if isinstance(problem["input"], dict) else f" (found {problem['input']!r})"
            return f"{key}: {problem['msg'].removeprefix('Value error, ')}{found}"
        case _:
            return f"{key}: found {problem['input']!r}; {problem['msg'][0].lower()}{problem['msg'][1:]}"
