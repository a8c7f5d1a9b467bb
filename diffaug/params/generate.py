"""The section of `generate`: model, prompts, modes, sampler."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from diffaug.params.base import (
    Context,
    Count,
    Fraction,
    LocalPath,
    ModelName,
    Positive,
    Section,
    Seed,
    Template,
    Text,
    listed,
    matching,
)
from diffaug.params.memory import MemoryParams
from diffaug.params.sampling import BelowPrompts, Guidance, Sampling, Scheduler, Side, Steps, Strength, check_steps

Weight = Annotated[float, Field(gt=0, le=1000)]
Pixels = Annotated[int, Field(ge=0, le=512)]
Oversample = Annotated[float, Field(ge=1, le=20)]
Range = Annotated[list[Annotated[float, Field(gt=0, le=8)]], Field(min_length=2, max_length=2)]


def _without_class(texts: list[str]) -> list[str]:
    if any("{class}" in text for text in texts):
        raise ValueError("must not contain {class}: the drawn object would have no label")
    return texts


Templates = Annotated[list[Template], listed, Field(min_length=1)]
Texts = Annotated[list[Text], listed, Field(min_length=1)]
Strengths = Annotated[list[Strength], listed, Field(min_length=1)]


# Arguments of the pipeline's call that are set by generate, the modes or the sampler.
_OWN = {
    *("prompt", "negative_prompt", "num_inference_steps", "guidance_scale", "strength", "eta", "width", "height"),
    *("image", "mask_image", "control_image", "controlnet_conditioning_scale", "latents"),
    *("generator", "output_type", "num_images_per_prompt", "return_dict"),
}


class Adapter(Section):
    """LoRA weights: a folder with pytorch_lora_weights.safetensors, or a .safetensors file."""

    path: LocalPath
    scale: Annotated[float, Field(ge=-4, le=4)]


class Embedding(Section):
    """A textual-inversion embedding: a .safetensors file, and its token in prompts."""

    path: LocalPath
    token: str


class ClassPrompts(Section):
    """Settings of a single class."""

    prompt: Texts | None = None
    synonyms: Annotated[list[Text], Field(min_length=1)] | None = None
    negative_prompt: Text | None = None


class Mode(Sampling):
    """A way of making images: its share of the images, and its own values of settings of `generate`."""

    weight: Weight
    prompt: Texts | None = None
    negative_prompt: Text | None = None


class Txt2Img(Mode):
    """From the prompt alone, which therefore must name the class."""

    prompt: Templates | None = None


class Img2Img(Mode):
    """From a real train image (SDEdit, Meng et al. 2021, arXiv:2108.01073)."""

    strength: Strengths


class Inpaint(Mode):
    """Redraws a part of a real train image; the rest keeps its pixels."""

    strength: Strengths
    repaint: Literal["background", "object"]
    padding: Pixels
    feather: Pixels


class ControlNet(Mode):
    """Keeps the structure of a real train image (Zhang et al. 2023, arXiv:2302.05543); with strength, colours too."""

    model: ModelName
    condition: Literal["canny", "depth", "segmentation"]
    condition_model: ModelName | None = None
    canny: Annotated[list[Annotated[int, Field(ge=0, le=1000)]], Field(min_length=2, max_length=2)] | None = None
    scale: Annotated[float, Field(ge=0, le=4)]
    strength: Strengths | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.condition == "canny" and self.canny is None:
            raise ValueError("condition 'canny' needs canny: [low, high], such as [100, 200]")
        if self.condition != "canny" and self.condition_model is None:
            raise ValueError(f"condition {self.condition!r} needs condition_model, the network that computes the map")
        return self


class ClsModes(Section):
    txt2img: Txt2Img | None = None
    img2img: Img2Img | None = None
    inpaint: Inpaint | None = None
    controlnet: ControlNet | None = None

    def given(self) -> dict[str, Mode]:
        """The modes in use, by name."""
        return {name: mode for name, mode in self if mode is not None}


class ClsGeneration(Section):
    """per_class: a number, a mapping by class, or balance, what each class lacks compared with the largest in train.
    oversample: `per_class` x oversample images are made, for the filter to choose from."""

    per_class: Count | Literal["balance"] | dict[str, Count]
    oversample: Oversample | None = None
    modes: ClsModes


class Patches(Section):
    """Draw squares around a scene's objects instead of the whole scene.

    context: the square's side as a multiple of the box's longer side; per_scene: how many at most, without overlap.
    """

    context: Context
    per_scene: Positive


class SceneMode(Mode):
    """A way of making a scene from a real one. {class} in a prompt is the class of the patch's object or, for whole
    scenes, the classes in the scene. padding, feather: pixels, see `diffaug.pictures.masks`."""

    strength: Strengths
    patches: Patches | None = None
    feather: Pixels


class SceneImg2Img(SceneMode):
    """Redraws the whole scene or patch from itself; the boxes are kept, and audited by the filter."""


class InpaintBackground(SceneMode):
    """Redraws everything except the padded boxes, with a prompt that names no object."""

    prompt: Annotated[Texts, AfterValidator(_without_class)]
    padding: Pixels


class InpaintObject(SceneMode):
    """Redraws single objects in their boxes: as their own class, or as a class that is rare in train."""

    prompt: Templates | None = None
    target_class: Literal["same", "rare"]


class Paste(Section):
    """Objects, drawn or cut from train, on real scenes (simple copy-paste, Ghiasi et al. 2021, arXiv:2012.07177).
    classes: whose objects are pasted; all if it is left out."""

    weight: Weight
    objects: Literal["generated", "train"]
    classes: Annotated[list[str], Field(min_length=1)] | None = None
    items_per_class: Positive
    max_objects: Annotated[int, Field(ge=1, le=50)]
    scale: Range
    max_overlap: Fraction
    min_visible: Annotated[float, Field(gt=0, le=1)]
    min_labelled: Annotated[float, Field(gt=0, le=1)]
    feather: Pixels

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale is [smallest, largest], but {self.scale[0]:g} is above {self.scale[1]:g}")
        return self


class DetModes(Section):
    img2img: SceneImg2Img | None = None
    inpaint_background: InpaintBackground | None = None
    inpaint_object: InpaintObject | None = None
    paste: Paste | None = None

    def weights(self) -> dict[str, float]:
        """The shares of the modes in use, by name."""
        return {name: mode.weight for name, mode in self if mode is not None}

    def redrawn(self) -> dict[str, SceneMode]:
        """The modes in use that redraw parts of a real scene, by name."""
        return {name: mode for name, mode in self if isinstance(mode, SceneMode)}


class DetGeneration(Section):
    per_real: Annotated[float, Field(ge=0, le=1000)]
    oversample: Oversample | None = None
    modes: DetModes

    def made(self, scenes: int) -> int:
        """Number of scenes made from this number of real train scenes."""
        return round(self.per_real * (self.oversample or 1.0) * scenes)


class Launch(Section):
    engine: Literal["local", "ray"]
    processes: Positive | None


class GenerateParams(Section):
    model: ModelName
    loras: list[Adapter]
    embeddings: list[Embedding]
    vae: ModelName | None
    tiny_vae: ModelName | None
    segmenter: ModelName | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"]
    memory: MemoryParams
    compile: bool
    launch: Launch
    batch_size: Positive
    seed: Seed
    prompt: Templates
    attributes: dict[
        Annotated[str, matching(r"\w+", "only letters, digits and _ are allowed")],
        Annotated[list[Text], Field(min_length=1)],
    ]
    classes: dict[str, ClassPrompts]
    prompts_file: BelowPrompts | None
    negative_prompt: Text
    scheduler: Scheduler
    num_inference_steps: Steps
    guidance_scale: Guidance
    eta: Fraction | None
    height: Side | None
    width: Side | None
    fit: Literal["crop", "pad"]
    call: dict[str, bool | int | float | str]
    cls: ClsGeneration
    det: DetGeneration

    def draws(self, cls: bool, det: bool) -> bool:
        """Whether anything is drawn by the model, if these tasks have images. Real objects are only pasted."""
        paste = self.det.modes.paste
        scenes = self.det.modes.redrawn() or (paste and paste.objects == "generated")
        return bool((cls and self.cls.per_class) or (det and self.det.per_real and scenes))

    def segments(self) -> bool:
        """Whether a mode looks for objects, so that a segmenter is of use."""
        return bool(self.cls.modes.inpaint or self.det.modes.paste)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if clash := sorted(_OWN & set(self.call)):
            raise ValueError(f"call.{clash[0]}: this is not allowed in call; set it in generate or in a mode")
        if self.compile and self.memory.offload != "none":
            raise ValueError("compile: networks that wait outside the GPU cannot be compiled; set memory.offload: none")
        if self.vae and self.tiny_vae:
            raise ValueError("vae: the tiny_vae takes its place; give one of the two")
        if "class" in self.attributes:
            raise ValueError("attributes.class: {class} is the class name; choose another word")
        for task, modes in (("cls", self.cls.modes), ("det", self.det.modes)):
            for name, mode in modes:
                for strength in getattr(mode, "strength", None) or []:
                    try:
                        check_steps(mode.num_inference_steps or self.num_inference_steps, strength)
                    except ValueError as error:
                        raise ValueError(f"{task}.modes.{name}: {error}") from None
        if self.cls.per_class and not self.cls.modes.given():
            raise ValueError("cls.modes: none is given, but per_class is above 0; give one, such as txt2img")
        if self.det.per_real and not self.det.modes.weights():
            raise ValueError("det.modes: none is given, but per_real is above 0; give one, such as paste")
        return self
