from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from settings import modes, params

from diffaug.diffusion.finding import find_model
from diffaug.generation.drawing.conditions import find_control
from diffaug.generation.drawing.identity import fingerprint
from diffaug.params.generate import GenerateParams

Folder = Callable[[str], Path]
CPU = torch.device("cpu")
INPAINT = {"strength": 1.0, "repaint": "background", "padding": 1, "feather": 1}
CANNY = {"condition": "canny", "canny": [100, 200], "scale": 1.0}


def name(given: GenerateParams) -> dict[str, str]:
    return fingerprint(find_model(given, CPU), find_control(given.cls.modes.controlnet), given)


def test_the_fingerprint_says_all_that_changes_a_pixel(model_folder: Folder) -> None:
    model = model_folder("stable_diffusion")
    changes: list[dict[str, Any]] = [
        {},
        {"batch_size": 8},
        {"dtype": "bfloat16"},
        {"fit": "crop"},
        {"call": {"clip_skip": 1}},
        {"tiny_vae": {"name": str(model_folder("tiny_vae"))}},
        {"cls": modes(inpaint=INPAINT)},
        {"cls": modes(controlnet=CANNY | {"model": {"name": str(model_folder("stable_diffusion-controlnet"))}})},
    ]
    prints = [name(params(model, **change)) for change in changes]
    prints.append(name(params(model_folder("latent8"))))
    assert len({str(sorted(one.items())) for one in prints}) == len(prints)
