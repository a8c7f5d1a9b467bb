"""Everything besides a job that can change a pixel; its hash names the work cache."""

from importlib.metadata import version

import cv2
import diffusers
import numpy as np
import peft
import PIL
import scipy
import torch
import transformers

from diffaug.diffusion.finding import Found
from diffaug.generation.drawing.conditions import FoundControl
from diffaug.params.generate import GenerateParams
from diffaug.runtime import code

_LIBRARIES = (torch, diffusers, transformers, peft, np, scipy, PIL, cv2)
# The plan is not included, since every job is part of the name of its image.
_DRAWN_BY = ("diffaug.generation.drawing.drawing", "diffaug.runtime.device")


def fingerprint(model: Found, control: FoundControl | None, params: GenerateParams) -> dict[str, str]:
    """The values that all images of a run share, by name."""
    inpaint = params.cls.modes.inpaint
    threads = torch.get_num_threads() if model.device.type == "cpu" else ""  # their number changes a CPU's rounding
    return {
        "weights": model.sha256,
        "control": control.fingerprint() if control else "",
        "inpaint": repr(inpaint and (inpaint.repaint, inpaint.padding, inpaint.feather)),
        "batch_size": str(params.batch_size),
        "fit": params.fit,
        "call": repr(sorted(params.call.items())),
        "dtype": str(model.dtype),
        "device": f"{model.device.type} {threads}",
        "memory": repr(params.memory.model_dump(exclude={"offload"})),  # what is moved away computes the same
        "compile": str(params.compile),
        "quantized_by": version("torchao") if params.memory.quantize else "",
        "libraries": " ".join(library.__version__ for library in _LIBRARIES),
        "code": code.fingerprint(*_DRAWN_BY),
    }
