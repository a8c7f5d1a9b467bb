"""Initial weights from a file or a release, loaded by name and shape, and the check that weights are numbers."""

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
import torchvision
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from diffaug.hub.downloads import download
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import file_sha256
from diffaug.runtime.work import work_folder


def read_weights(path: str, key: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file. Raises UserError with the parameter `key` if there is none."""
    if not path.endswith(".safetensors"):
        raise UserError(
            f"params.yaml: {key}: {path} is not a .safetensors file, and opening it can run any code; `diffaug "
            "convert` makes one of a file of tensors; of a whole model, save the state_dict() with "
            "safetensors.torch.save_file"
        )
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"params.yaml: {key}: {path} does not exist") from None
    except SafetensorError as error:
        raise UserError(f"params.yaml: {key}: {path} is damaged ({error})") from None


def refuse_not_finite(weights: Mapping[str, Tensor], source: str) -> None:
    """Raises UserError with the name of the first tensor that holds NaN or infinity, or that no file filled."""
    for name, value in weights.items():
        if value.is_meta:
            raise UserError(f"{source}: {name} has no weights in the files; take other weights")
        if value.is_floating_point() and value.numel():
            wide = value if value.element_size() > 1 else value.float()  # no arithmetic in 8 bits
            if not torch.stack(wide.detach().aminmax()).isfinite().all():
                raise UserError(f"{source}: {name} has weights that are not finite numbers; take other weights")


def stored_dtype(files: Iterable[Path]) -> torch.dtype:
    """The data type of all numbers in these .safetensors files: float16, bfloat16, or float32 if it is another."""
    found = set()
    for path in files:
        with safe_open(path, framework="pt") as file:
            found |= {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    return {("F16",): torch.float16, ("BF16",): torch.bfloat16}.get(tuple(found), torch.float32)


def named_weights(model: str, weights: str, key: str) -> WeightsEnum:
    """Torchvision's own weights of this name, not yet downloaded. Raises UserError if there are none."""
    choices = torchvision.models.get_model_weights(model)
    if weights not in choices.__members__:
        known = ", ".join(choices.__members__)
        raise UserError(f"params.yaml: {key}: found {weights!r}; allowed are null, a .safetensors path, {known}")
    return choices[weights]


def given_weights(model: str, weights: str, key: str) -> dict[str, Tensor]:
    """Weights for a network of torchvision: from a .safetensors file, or torchvision's own by name (a download).

    Raises UserError with the parameter `key` if there are none.
    """
    if weights.endswith(".safetensors"):
        return read_weights(weights, key)
    try:
        return named_weights(model, weights, key).get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise UserError(
            f"params.yaml: {key}: {weights} cannot be downloaded ({error}); give a .safetensors path"
        ) from None


def release_path(sha256: str, url: str) -> Path:
    """Where the file of a release lies once it is downloaded."""
    return work_folder("weights") / f"{sha256[:16]}{Path(url).suffix}"


def download_release(url: str, sha256: str, key: str) -> Path:
    """A released file, downloaded once and kept only if its SHA-256 (64 hex digits) matches. Raises UserError."""
    path = release_path(sha256, url)
    if not path.exists():
        download(url, path, f"params.yaml: {key}", "give the path of a file", sha256)
    if file_sha256(path) != sha256:
        raise UserError(f"{path}: is no longer the file of {key} (its sha256 differs); remove it and run again")
    return path


def fetch_release(url: str, sha256: str, key: str) -> dict[str, Tensor]:
    """The tensors of a released file, downloaded once and opened only if its SHA-256 (64 hex digits) matches.

    A .pt file of Ultralytics is a pickle, which can run code, so the hash is needed. Of a .pth file only tensors are
    read, which runs no code. Raises UserError with the parameter `key`.
    """
    path = download_release(url, sha256, key)
    if path.suffix == ".safetensors":
        return read_weights(str(path), key)
    try:
        if path.suffix == ".pth":
            return torch.load(path, map_location="cpu", weights_only=True)
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
        return (checkpoint.get("ema") or checkpoint["model"]).float().state_dict()
    except (ImportError, AttributeError, KeyError, TypeError, pickle.UnpicklingError, RuntimeError) as error:
        raise UserError(
            f"params.yaml: {key}: {url} is neither a .pth file of tensors nor a .pt file of the package ultralytics "
            f"({' '.join(str(error).split())[:200]}); convert its tensors to .safetensors"
        ) from None


def load_matching(model: nn.Module, given: dict[str, Tensor], source: str, key: str) -> None:
    """Load the tensors that fit by name and shape, and print how many. Raises UserError if none fits."""
    own = model.state_dict()
    matching = {
        name: value.to(own[name].dtype)
        for name, value in given.items()
        if name in own and own[name].shape == value.shape
    }
    print(f"{key}: {len(matching)} of {len(own)} tensors from {Path(source).name}")
    if not matching:
        raise UserError(f"params.yaml: {key}: no tensor of {source} fits the model by name and shape")
    refuse_not_finite(matching, f"params.yaml: {key}: {source}")
    model.load_state_dict(own | matching)
