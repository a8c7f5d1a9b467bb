"""Initial weights from a safetensors file, loaded by name and shape."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from diffaug.errors import UserError


def read_weights(path: str, key: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file. Raises UserError with the parameter `key` where there is none."""
    if not path.endswith(".safetensors"):
        raise UserError(f"params.yaml: {key}: {path} is not a .safetensors file; pickled weights are not loaded")
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"params.yaml: {key}: {path} does not exist") from None
    except SafetensorError as error:
        raise UserError(f"params.yaml: {key}: {path} is damaged ({error})") from None


def load_matching(model: nn.Module, given: dict[str, Tensor], source: str, key: str) -> None:
    """Load the tensors that fit by name and shape, and say how many did. Raises UserError where none does."""
    own = model.state_dict()
    matching = {
        name: value.to(own[name].dtype)
        for name, value in given.items()
        if name in own and own[name].shape == value.shape
    }
    print(f"{key}: {len(matching)} of {len(own)} tensors from {Path(source).name}")
    if not matching:
        raise UserError(f"params.yaml: {key}: no tensor of {source} fits the model by name and shape")
    model.load_state_dict(own | matching)
