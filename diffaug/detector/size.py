"""What a detector would need, counted on PyTorch's meta device, on which tensors have shapes but no memory."""

# ruff: noqa: I001 - Ultralytics reads its environment when it is imported, so its home comes first.
import diffaug.detector.ultralytics_home  # noqa: F401

import copy
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from ultralytics.nn.tasks import BaseModel, parse_model

from diffaug.runtime.errors import UserError

# Of Ultralytics' detectors, YOLOv6x has the most weights, 173 million, rtdetr-resnet101 makes the most values for an
# image of 256 x 256, 214 million, and YOLOv9e takes the most steps, 6,800.
MAX_WEIGHTS = 500_000_000
MAX_VALUES = 2_000_000_000
MAX_STEPS = 20_000
_SIDE = 256


def refuse_large(layers: dict[str, Any], where: str) -> None:
    """Raises UserError if the network of a checked architecture would need more than MAX_WEIGHTS or MAX_VALUES."""
    with torch.random.fork_rng([]), torch.device("meta"), _Counter(where):
        network = BaseModel()
        network.model, network.save = parse_model(copy.deepcopy(layers), ch=3, verbose=False)
    weights = sum(one.numel() for one in network.parameters())
    if weights > MAX_WEIGHTS:
        raise UserError(f"{where}: has {weights} weights; allowed are at most {MAX_WEIGHTS}; lower its channels")
    network.model.eval()
    head = network.model[-1]
    head.training = not hasattr(head, "decoder")  # a YOLO's head gives its features, as when its strides are measured
    with torch.device("meta"), torch.no_grad(), _Counter(where):
        network._predict_once(torch.zeros(1, 3, _SIDE, _SIDE))


class _Counter(TorchDispatchMode):
    """Stops a network that takes more than MAX_STEPS, or makes more than MAX_VALUES."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where, self._steps, self._values = where, 0, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        self._steps += 1
        several = made if isinstance(made, tuple | list) else (made,)
        self._values += sum(one.numel() for one in several if isinstance(one, torch.Tensor))
        if self._steps > MAX_STEPS or self._values > MAX_VALUES:
            raise UserError(
                f"{self._where}: needs more than {MAX_STEPS} steps or {MAX_VALUES} values for an image of {_SIDE} x "
                f"{_SIDE} pixels; lower its layers, channels or scale factors"
            )
        return made
