"""A VAE of one's own and a ControlNet, from folders and from the single files of WebUI."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import refused
from diffusers import AutoencoderKL, ControlNetModel
from ldm import checkpoint_tensors, controlnet_tensors, save_checkpoint, vae_tensors
from safetensors.torch import save_file
from settings import params

from diffaug.diffusion.networks import find_controlnet, open_controlnet
from diffaug.diffusion.opening import Model, open_model
from diffaug.params.base import ModelName

CPU = torch.device("cpu")


@pytest.fixture
def other(pipeline: Path, tmp_path: Path) -> Path:
    """A VAE of the model's shape with other weights."""
    torch.manual_seed(9)
    vae = AutoencoderKL.from_config(json.loads((pipeline / "vae/config.json").read_text()))
    vae.save_pretrained(tmp_path / "other")
    return tmp_path / "other"


def opened(model: Path | dict[str, str], vae: Path | None, **changes: Any) -> Model:
    return open_model(params(model, vae=None if vae is None else {"name": str(vae)}, **changes), CPU)


def same(model: Model, folder: Path) -> bool:
    expected = AutoencoderKL.from_pretrained(folder).state_dict()
    found = model.pipeline.vae.state_dict()
    return all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "vae."])
def test_a_vae_of_webui_takes_the_place_of_the_models(pipeline: Path, other: Path, tmp_path: Path, prefix: str) -> None:
    file = tmp_path / "vae.safetensors"
    tensors = vae_tensors(AutoencoderKL.from_pretrained(other))
    save_file({f"{prefix}{name}": value.contiguous() for name, value in tensors.items()}, file)
    from_file, from_folder, without = (opened(pipeline, vae) for vae in (file, other, None))
    assert same(from_file, other) and same(from_folder, other) and not same(without, other)
    assert from_file.pipeline.vae.config.scaling_factor == without.pipeline.vae.config.scaling_factor
    assert len({model.found.sha256 for model in (from_file, from_folder, without)}) == 3


def test_a_file_in_the_layout_of_diffusers_opens_too(pipeline: Path, other: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(other / "diffusion_pytorch_model.safetensors", tmp_path / "fixed.safetensors"))
    assert same(opened(pipeline, file), other)


def test_a_checkpoint_without_a_vae_draws_with_one(pipeline: Path, other: Path, tmp_path: Path) -> None:
    checkpoint = save_checkpoint(pipeline, tmp_path / "whole.safetensors")
    assert same(opened({"name": str(checkpoint), "config": str(pipeline)}, other), other)
    tensors = {key: value for key, value in checkpoint_tensors(pipeline).items() if not key.startswith("first")}
    save_file(tensors, tmp_path / "pruned.safetensors")
    pruned = {"name": str(tmp_path / "pruned.safetensors"), "config": str(pipeline)}
    message = refused(lambda: opened(pruned, None))
    assert message.endswith("take a checkpoint of the whole model, or name a VAE in generate.vae")
    assert same(opened(pruned, other), other)


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scaling_factor": 0.13025}, r"has scaling_factor 0.13025, and the VAE of "),
        ({"_class_name": "AutoencoderTiny"}, r"does not fit AutoencoderTiny, or is damaged"),
    ],
)
def test_a_vae_of_another_kind_is_refused(pipeline: Path, other: Path, change: dict[str, Any], words: str) -> None:
    edit(other / "config.json", **change)
    message = refused(lambda: opened(pipeline, other))
    assert message.startswith("params.yaml: generate.vae: ") and words in message


def test_a_file_that_is_no_vae_is_one_line(pipeline: Path, tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "odd.safetensors")
    (tmp_path / "old.vae.pt").write_bytes(b"")
    for name, words in (
        ("odd.safetensors", "does not fit the AutoencoderKL of the model, or is damaged"),
        ("none.safetensors", "is not a file; give the path of a VAE"),
        ("old.vae.pt", "is pickled, and opening it can run any code; `diffaug convert "),
    ):
        message = refused(lambda name=name: opened(pipeline, tmp_path / name))
        assert message.startswith(f"params.yaml: generate.vae: {tmp_path / name} {words}")


def test_a_model_without_a_vae_has_none_to_replace(pipeline: Path, other: Path) -> None:
    shutil.rmtree(pipeline / "vae")
    edit(pipeline / "model_index.json", vae=[None, None])
    assert "has no VAE that could be replaced; remove it" in refused(lambda: opened(pipeline, other))


def controlled(model: Model, path: Path) -> tuple[Any, str]:
    name, key = ModelName(name=str(path)), "controlnet.model"
    return open_controlnet(name, model.pipeline, key, torch.float32), find_controlnet(name, key).sha256


@pytest.mark.parametrize(
    ("name", "layout"), [("stable_diffusion", "webui"), ("stable_diffusion", "diffusers"), ("sdxl", "diffusers")]
)
def test_a_controlnet_of_webui(model_folder: Callable[[str], Path], tmp_path: Path, name: str, layout: str) -> None:
    model = opened(model_folder(name), None)
    torch.manual_seed(0)
    own = ControlNetModel.from_unet(model.pipeline.unet)
    for value in own.parameters():
        torch.nn.init.normal_(value)
    tensors = controlnet_tensors(own) if layout == "webui" else own.state_dict()
    save_file({key: value.contiguous() for key, value in tensors.items()}, tmp_path / "canny.safetensors")
    found, sha256 = controlled(model, tmp_path / "canny.safetensors")
    assert found.config.conditioning_channels == 3 and len(sha256) == 64
    assert found.state_dict().keys() == own.state_dict().keys()
    assert all(torch.equal(value, own.state_dict()[key]) for key, value in found.state_dict().items())


def test_a_controlnet_of_another_kind_or_none_is_refused(model_folder: Callable[[str], Path], tmp_path: Path) -> None:
    other = ControlNetModel.from_unet(opened(model_folder("sdxl"), None).pipeline.unet)
    save_file(controlnet_tensors(other), tmp_path / "other.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "odd.safetensors")
    model = opened(model_folder("stable_diffusion"), None)
    for name in ("other", "odd"):
        message = refused(lambda name=name: controlled(model, tmp_path / f"{name}.safetensors"))
        assert message.startswith("params.yaml: controlnet.model: ") and "\n" not in message
    transformer = opened(model_folder("sd3"), None)
    message = refused(lambda: controlled(transformer, tmp_path / "odd.safetensors"))
    assert "is a single file, which is read only for models with a U-Net, and StableDiffusion3Pipeline has" in message
