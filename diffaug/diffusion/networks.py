"""Opening a single network of diffusers: a ControlNet, a tiny VAE, or a VAE in place of the model's."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import ControlNetModel

from diffaug.hub.configs import read_mapping
from diffaug.hub.locate import Located, locate_network
from diffaug.hub.opening import fitting
from diffaug.hub.parts import CONFIG, network_class
from diffaug.hub.pickled import convert_file
from diffaug.hub.weights import refuse_not_finite
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError
from diffaug.runtime.hashes import weights_sha256

_VAE = "generate.vae"


def open_network(model: ModelName, key: str, dtype: torch.dtype) -> tuple[Any, Located]:
    """A network of diffusers, such as a ControlNet, on the CPU; its config.json names the class."""
    located = locate_network(model, key)
    kind = network_class(located.path / CONFIG)
    with fitting(key, located.path, kind.__name__):
        network, report = kind.from_pretrained(
            located.path,
            dtype=dtype,
            variant=model.variant,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        if report["missing_keys"]:
            raise ValueError(f"it has no weights for {report['missing_keys'][0]}")  # the library made them at random
        refuse_not_finite(network.state_dict(), f"params.yaml: {key}: {located.path}")
    return network, located


def find_vae(name: ModelName, model: Located) -> str:
    """A hash of a VAE in place of the model's. Raises UserError if it is missing, or the model has none."""
    if not (_configuration(model) / "vae" / CONFIG).exists():
        raise UserError(f"params.yaml: {_VAE}: {model.name} has no VAE that could be replaced; remove it")
    return weights_sha256(_file(name, _VAE, "a VAE")) if name.is_file else locate_network(name, _VAE).sha256


def open_vae(name: ModelName, model: Located, dtype: torch.dtype) -> Any:
    """A VAE in place of the model's, on the CPU. A single file gets the model's own configuration.

    Raises UserError if it is missing, damaged, or made for other latents than the model's.
    """
    folder = _configuration(model)
    if name.is_file:
        return _vae_file(name, folder, network_class(folder / "vae" / CONFIG), dtype)
    vae, _ = open_network(name, _VAE, dtype)
    own = read_mapping(folder / "vae" / CONFIG)
    for key, usual in (("latent_channels", 4), ("scaling_factor", 0.18215)):
        wanted, found = own.get(key, usual), vae.config.get(key)
        if found != wanted:
            raise UserError(
                f"params.yaml: {_VAE}: {name.name} has {key} {found}, and the VAE of {model.name} {wanted}: it was "
                "made for another kind of model; take one that was made for this kind"
            )
    return vae


def find_controlnet(model: ModelName, key: str) -> Located:
    """The files of a ControlNet. Raises UserError if they are missing or pickled."""
    if not model.is_file:
        return locate_network(model, key)
    path = _file(model, key, "a ControlNet")
    return Located(path.name, None, path, weights_sha256(path), None)


def open_controlnet(model: ModelName, pipeline: Any, key: str, dtype: torch.dtype) -> Any:
    """A ControlNet for this pipeline, on the CPU. A single file has the shape that follows from the pipeline's U-Net.

    Raises UserError if it is missing, damaged, or made for another kind of model.
    """
    if not model.is_file:
        return open_network(model, key, dtype)[0]
    unet = getattr(pipeline, "unet", None)
    if unet is None:
        raise UserError(
            f"params.yaml: {key}: {model.name} is a single file, which is read only for models with a U-Net, and "
            f"{type(pipeline).__name__} has none; name a folder or a hub id"
        )
    path = _file(model, key, "a ControlNet")
    with fitting(key, path, f"a ControlNet of {type(pipeline).__name__}"), TemporaryDirectory() as folder:
        with init_empty_weights():
            ControlNetModel.from_unet(unet, load_weights_from_unet=False).save_config(folder)
        network = ControlNetModel.from_single_file(str(path), config=folder, dtype=dtype, local_files_only=True)
        refuse_not_finite(network.state_dict(), f"params.yaml: {key}: {path}")
    return network


def _configuration(model: Located) -> Path:
    return model.config or model.path


def _vae_file(name: ModelName, folder: Path, kind: Any, dtype: torch.dtype) -> Any:
    path = _file(name, _VAE, "a VAE")
    with fitting(_VAE, path, f"the {kind.__name__} of the model"):
        vae = kind.from_single_file(str(path), config=str(folder), subfolder="vae", dtype=dtype, local_files_only=True)
        refuse_not_finite(vae.state_dict(), f"params.yaml: {_VAE}: {path}")
    return vae


def _file(name: ModelName, key: str, what: str) -> Path:
    path = Path(name.name).expanduser()
    if path.suffix != ".safetensors":
        raise UserError(f"params.yaml: {key}: {path} is pickled, and opening it can run any code; {convert_file(path)}")
    if not path.is_file():
        raise UserError(f"params.yaml: {key}: {path} is not a file; give the path of {what}")
    return path
