"""Which settings suit a user's images and machine, each with its reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diffaug.commands.facts import Facts
from diffaug.commands.nearness import thresholds

_UNEVEN = 3.0  # times: from here on the classes are filled up instead of drawing the same number for each
_MANY = 3000  # images that are drawn of all classes together, at most, to fill up classes on a CPU
_FEW = 200  # test images, below which only large differences are visible
_SEEN = 9.0  # pixels: an object should have this side in the detector's input


@dataclass(frozen=True)
class Choice:
    """A value of params.yaml; reason: in words, empty if the one before also explains this one."""

    key: str
    value: Any
    reason: str = ""


@dataclass(frozen=True)
class Machine:
    """gpu: its name, None for a CPU; effort: the share of the usual training steps that there is time for, 0 to 1."""

    gpu: str | None
    effort: float = 1.0

    def steps(self, usual: float, every: int) -> int:
        """A multiple of `every`."""
        return max(1, round(usual * self.effort / every)) * every

    @property
    def hurry(self) -> str:
        """Why there are fewer steps, as the end of a reason."""
        return "" if self.effort == 1 else f"; {100 * self.effort:.0f} % of the usual number, for the time asked for"


def advise(cls: Facts | None, det: Facts | None, faults: str, machine: Machine) -> list[Choice]:
    """The choices for these tasks on this machine, in the order of params.yaml. faults: the first fault in the files,
    empty if there is none."""
    chosen = [
        *_download(cls, det, faults),
        *(_generator_gpu(cls, det) if machine.gpu else _generator_cpu(cls, det, machine)),
    ]
    if cls:
        chosen += _draw_cls(cls, machine, alone=det is None)
    if det:
        chosen += _draw_det(det, machine)
    for task, one in (("cls", cls), ("det", det)):
        if one:
            found = thresholds(task, one.apart)
            chosen += [Choice(f"filter.{task}.{name}", *of_score) for name, of_score in found.items()]
    chosen += _merge(cls, det, machine)
    if cls:
        chosen += _train_cls(cls, machine)
    if det:
        chosen += _train_det(det, machine)
    robustness = "off, to be quicker; copy the section of params.yaml here to switch it on"
    return [*chosen, Choice("evaluate.robustness", None, robustness)]


def _download(cls: Facts | None, det: Facts | None, faults: str) -> Iterator[Choice]:
    yield Choice("download.unseen_by", None, "the example's generator is not used")
    if faults:
        yield Choice("download.strict", False, f"faults are dropped and counted, such as this: {faults}")
    for task, one in (("cls", cls), ("det", det)):
        if one is None:
            yield Choice(f"download.{task}", None, "no such labels were found")
            continue
        few = one.images["test"] < _FEW
        yield Choice(
            f"download.{task}",
            dict(one.source),
            one.describe()
            + (f"; only {one.images['test']} test images, so only a large difference will be visible" if few else ""),
        )


def _learned(cls: Facts | None, det: Facts | None) -> str:
    if cls is not None and det is not None:
        return "real"
    return "real/det/train" if cls is None else "real/cls/train"


def _generator_gpu(cls: Facts | None, det: Facts | None) -> Iterator[Choice]:
    yield Choice("train_gen.method", "lora", "a GPU: a pre-trained Stable Diffusion, fine-tuned on your train images")
    yield Choice("train_gen.images", _learned(cls, det))
    yield (
        Choice("train_gen.context", 1.5, "objects are learned with what is around them")
        if det is not None
        else Choice("train_gen.context", 1.0)
    )
    yield Choice(
        "generate.model", {"name": "models/generator"}, "the base of train_gen.lora.model, with the LoRA on it"
    )
    yield Choice(
        "generate.batch_size", 4, "small, for a card of 12 GB at 512 pixels (not tried); raise it on a larger one"
    )
    yield Choice(
        "generate.scheduler",
        "dpmpp_2m_karras",
        "with 25 steps, as docs/stable-diffusion.md has it for Stable Diffusion 1.5",
    )
    yield Choice("generate.num_inference_steps", 25)
    yield Choice("generate.guidance_scale", 6.0)


def _generator_cpu(cls: Facts | None, det: Facts | None, machine: Machine) -> Iterator[Choice]:
    redrawn = det is not None and not det.cuttable
    model = Choice("generate.model", {"name": "models/generator"}, "what train_gen makes; the example's draws clothes")
    if cls is None and not redrawn:
        yield Choice(
            "train_gen.method",
            "none",
            "no GPU: real objects are cut out and pasted, nothing is drawn. A generator trained here on so few "
            "photographs would draw smears; with a GPU, `diffaug start ... --gpu` takes a Stable Diffusion",
        )
        yield model
        return
    side = _drawn_side(cls, det)
    yield Choice(
        "train_gen.method",
        "scratch",
        "no GPU: a small generator from random weights. It learns from your train images alone, so it draws smears: "
        "expect no gain. With a GPU (a rented one will do), `diffaug start ... --gpu` takes a Stable Diffusion",
    )
    yield Choice("train_gen.images", _learned(cls, det if redrawn else None))
    if redrawn:
        yield Choice("train_gen.context", 1.6, "objects are learned with what is around them")
    yield Choice("train_gen.scratch.size", side, "pixels; time grows with its square")
    share = (32 / side) ** 2
    yield Choice(
        "train_gen.scratch.vae.steps",
        machine.steps(1000 * share, 10),
        f"few, since there are few images to learn from{machine.hurry}",
    )
    yield Choice("train_gen.scratch.unet.steps", machine.steps(700 * share, 10))
    yield model
    yield Choice("generate.batch_size", 8, "a batch is of one class, mode and strength; small ones waste less")
    yield Choice("generate.scheduler", "ddim")
    yield Choice("generate.num_inference_steps", max(10, machine.steps(25, 1)))
    yield Choice("generate.guidance_scale", 2.0, "closer to the class than 1, with less variety")


def _drawn_side(cls: Facts | None, det: Facts | None) -> int:
    side = cls.side if cls is not None else det.object if det is not None else 32
    return 32 if side <= 48 else 48


def _draw_cls(one: Facts, machine: Machine, alone: bool) -> Iterator[Choice]:
    level = _level(one.counts, machine)
    if one.imbalance < _UNEVEN:
        yield Choice("generate.cls.per_class", max(one.counts.values()), "one synthetic image per real one")
    elif not alone:  # merge.target would fill up the boxes of det too
        yield Choice("generate.cls.per_class", dict(one.counts), "one synthetic image per real one, class by class")
    elif level == max(one.counts.values()):
        yield Choice(
            "generate.cls.per_class",
            "balance",
            f"your largest class has {one.imbalance:.0f} times as many images as your smallest: what each lacks is "
            "drawn",
        )
    else:
        asked = {name: max(0, level - count) for name, count in one.counts.items()}
        yield Choice("generate.cls.per_class", asked, f"classes are filled up to {level} images")
    yield Choice("generate.cls.oversample", 1.5, "half as many again, since the filter rejects some")
    strengths = [0.5, 0.7] if machine.gpu else [0.4, 0.6]
    yield Choice("generate.cls.modes.txt2img", {"weight": 1}, "new images from the prompt alone, for variety")
    yield Choice(
        "generate.cls.modes.img2img", {"weight": 2, "strength": strengths}, "variants of your images, which keep more"
    )
    yield from _without("cls", "inpaint", "controlnet")


def _without(task: str, *modes: str) -> Iterator[Choice]:
    """The other modes, which params.yaml may have, are switched off."""
    for mode in modes:
        yield Choice(f"generate.{task}.modes.{mode}", None)


def _level(counts: Mapping[str, int], machine: Machine) -> int:
    """The number to which all classes are filled up: that of the largest or, on a CPU, the largest that takes no more
    than `_MANY` images."""
    level = max(counts.values())
    while not machine.gpu and sum(max(0, level - count) for count in counts.values()) > _MANY:
        level = level * 9 // 10
    return level


def _draw_det(one: Facts, machine: Machine) -> Iterator[Choice]:
    yield Choice("generate.det.per_real", 1.0, "one synthetic scene per real one")
    yield Choice("generate.det.oversample", 1.5, "half as many again, since the filter rejects some")
    yield Choice("generate.det.modes.paste", *_paste(one))
    if machine.gpu:
        yield Choice(
            "generate.det.modes.img2img",
            {"weight": 1, "strength": [0.2, 0.35], "feather": 8, "patches": None},
            "your scenes, slightly redrawn; the boxes stay",
        )
        yield Choice(
            "generate.det.modes.inpaint_background",
            {"weight": 1, "prompt": "", "strength": 0.7, "padding": 8, "feather": 8, "patches": None},
            "another background; every pixel in a box stays",
        )
        yield from _without("det", "inpaint_object")
        return
    yield from _without("det", "inpaint_background", "inpaint_object", *(["img2img"] if one.cuttable else []))
    if not one.cuttable:
        yield Choice(
            "generate.det.modes.img2img",
            {"weight": 1, "strength": [0.2, 0.3], "feather": 4, "patches": {"context": 1.6, "per_scene": 4}},
            "squares around objects, slightly redrawn, since no object can be cut out",
        )


def _paste(one: Facts) -> tuple[Any, str]:
    if not one.cuttable:
        return None, "no object of any class can be cut out of its background, so none is pasted"
    left = [name for name in one.counts if name not in one.cuttable]
    values = {
        **{"weight": 1, "objects": "train", "classes": list(one.cuttable) if left else None, "items_per_class": 60},
        **{"max_objects": 3, "scale": [0.8, 1.25], "max_overlap": 0.15, "min_visible": 1.0, "min_labelled": 0.3},
        "feather": 2,
    }
    return values, "real objects of train, cut out and pasted elsewhere" + (
        f"; not of {', '.join(left)}, which cannot be cut out of their background" if left else ""
    )


def _merge(cls: Facts | None, det: Facts | None, machine: Machine) -> Iterator[Choice]:
    if cls is not None and det is None and cls.imbalance >= _UNEVEN:
        level = _level(cls.counts, machine)
        target: Any = "balance" if level == max(cls.counts.values()) else {"per_class": level}
        yield Choice("merge.ratio", None, "rare classes are filled up instead")
        yield Choice("merge.target", target)
    else:
        yield Choice("merge.ratio", 1.0, "one added image per real one")
    yield Choice(
        "merge.on_shortage", "lower", "where the filter keeps too few, the report says so, and the run goes on"
    )


def _train_cls(one: Facts, machine: Machine) -> Iterator[Choice]:
    if machine.gpu:
        yield Choice("train_cls.image_size", min(224, max(32, one.side // 32 * 32)), "pixels")
        yield Choice("train_cls.steps", 1000)
        yield Choice("train_cls.eval_every", 50)
        return
    side = 32 if one.side <= 48 else 64
    yield Choice("train_cls.image_size", side, f"pixels; your images have about {one.side}, time grows with the square")
    every = 25 if machine.effort == 1 else 5
    steps = machine.steps(300 if side == 32 else 200, every)
    yield Choice("train_cls.steps", steps, f"the same for both arms{machine.hurry}")
    yield Choice("train_cls.eval_every", every)


def _train_det(one: Facts, machine: Machine) -> Iterator[Choice]:
    if machine.gpu:
        yield Choice("train_det.image_size", min(640, max(96, -(-one.side // 32) * 32)), "pixels")
        yield Choice("train_det.steps", 2000, "the same for both arms")
        yield Choice("train_det.eval_every", 100)
        yield Choice("train_det.workers", 4)
        return
    wanted = one.side * _SEEN / max(1, one.object)
    side = int(min(128, max(96, -(-wanted // 32) * 32)))
    every = 50 if machine.effort == 1 else 10
    steps = machine.steps(600 * 96 / side, every)
    small = one.object * side / one.side < _SEEN
    yield Choice(
        "train_det.image_size",
        side,
        f"pixels; objects of the smallest kind have about {one.object * side / one.side:.0f} of them there"
        + (", which is few: a GPU and 640 pixels see more" if small else ""),
    )
    yield Choice(
        "train_det.steps",
        steps,
        "from random weights a detector finds little after so few steps. Name weights trained on COCO in "
        f"train_det.weights, if you have some: that helps more than any other setting{machine.hurry}",
    )
    yield Choice("train_det.eval_every", every)
