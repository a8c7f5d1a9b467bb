"""Everything beside a job that can change a pixel: it names the work cache."""

import hashlib
from pathlib import Path

import cv2
import diffusers
import numpy as np
import peft
import PIL
import scipy
import torch
import transformers

from diffaug.dataset import codec
from diffaug.diffusion import abilities, compiling, inpainting, memo, opening, schedulers
from diffaug.diffusion.opening import Model
from diffaug.generation.drawing import conditions, pnginfo, sampler, views
from diffaug.generation.drawing.conditions import Control
from diffaug.generation.plan import jobs
from diffaug.params.generate import GenerateParams
from diffaug.pictures import canvas, cutout, masks, squares

_LIBRARIES = (torch, diffusers, transformers, peft, np, scipy, PIL, cv2)
# The code of the plans cannot change a pixel, since every job is part of its image's name.
_CODE = (
    abilities,
    canvas,
    codec,
    compiling,
    conditions,
    cutout,
    inpainting,
    jobs,
    masks,
    memo,
    opening,
    pnginfo,
    sampler,
    schedulers,
    squares,
    views,
)


def fingerprint(model: Model, control: Control | None, params: GenerateParams) -> dict[str, str]:
    """What all images of a run share, by name."""
    inpaint = params.cls.modes.inpaint
    threads = torch.get_num_threads() if model.device.type == "cpu" else ""  # their number rounds a CPU's sums
    return {
        "weights": model.sha256,
        "control": control.fingerprint() if control else "",
        "inpaint": repr(inpaint and (inpaint.repaint, inpaint.padding, inpaint.feather)),
        "batch_size": str(params.batch_size),
        "fit": params.fit,
        "call": repr(sorted(params.call.items())),
        "dtype": str(model.dtype),
        "device": f"{model.device.type} {threads}",
        "compile": str(params.compile),
        "libraries": " ".join(library.__version__ for library in _LIBRARIES),
        "code": hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in _CODE)).hexdigest(),
    }
