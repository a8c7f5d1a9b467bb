"""The objects for the parameters of a run: with the segmenter that they name, and with the masks of earlier runs."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import PIL
import scipy
import torch
import torchvision
import transformers

from diffaug.hub.locate import locate_network
from diffaug.params.base import ModelName
from diffaug.params.generate import GenerateParams
from diffaug.runtime import code
from diffaug.runtime.cores import threads
from diffaug.runtime.device import choose_device
from diffaug.segmenting.kinds import BY_TEXT, KEY, kind_of
from diffaug.segmenting.networks import open_network
from diffaug.segmenting.objects import Objects, Segment, Segmenter

_FOLDER = "masks"
_GRABCUT, _NETWORKS = "diffaug.segmenting.objects", "diffaug.segmenting.networks"
_LIBRARIES = (np, scipy, PIL, cv2)


@contextmanager
def finding(params: GenerateParams, work: Path) -> Iterator[Objects]:
    """The objects of a run; `work`: its work folder. The segmenter is loaded when the first mask is missing, and its
    memory is released at the end; what was found can be used after it. Raises UserError if it cannot be opened."""
    objects = find_for(params, work)
    try:
        yield objects
    finally:
        objects.release()


def find_for(params: GenerateParams, work: Path) -> Objects:
    """The same, for a process that mostly reads masks. Raises UserError if the segmenter is missing or of another
    kind."""
    made_by = [code.fingerprint(_GRABCUT), *(library.__version__ for library in _LIBRARIES)]
    if params.segmenter is None or not params.segments():
        return Objects(work / _FOLDER / _digest(made_by))
    segmenter = _segmenter(params.segmenter)
    device = choose_device()
    rounding = threads() if device.type == "cpu" else ""  # their number changes a CPU's rounding
    made_by += [segmenter.sha256, code.fingerprint(_NETWORKS), f"{device.type} {rounding}"]
    made_by += [library.__version__ for library in (torch, torchvision, transformers)]
    texts = {name: own.synonyms[0] for name, own in params.classes.items() if own.synonyms}
    return Objects(work / _FOLDER / _digest(made_by), segmenter, texts)


def _segmenter(name: ModelName) -> Segmenter:
    located = locate_network(name, KEY)
    kind = kind_of(located.path)

    def load() -> Segment:
        device = choose_device()
        if device.type == "cpu":  # as for drawing: an image is the same in any number of processes
            torch.set_num_threads(threads())
        return open_network(kind, located.path, name.variant, device)

    settings = {
        "segmenter": name.model_dump(exclude_none=True),
        "segmenter_sha256": located.sha256,
        "segmenter_licence": located.licence,
    }
    return Segmenter(located.name, located.sha256, located.licence, kind == BY_TEXT, settings, load)


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
