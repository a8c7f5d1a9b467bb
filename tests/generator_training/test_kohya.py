"""A trained LoRA as a file of kohya's trainer: its names, and the pictures that are drawn with it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import settings
import small_models
import torch
from diffusers import DiffusionPipeline
from ldm import unet_tensors
from peft import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file
from tuning import params

from diffaug.commands.export import export
from diffaug.diffusion.loras import LORA_FILE
from diffaug.diffusion.opening import open_model
from diffaug.generator_training.lora import _weights, add_adapters
from diffaug.generator_training.save import save_lora
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")


def trained(place: Path, kind: str, alpha: int = 4, text_encoder: bool = True) -> Path:
    """A LoRA as train_gen writes it, whose layers are random, and its base model beside it."""
    base = getattr(small_models, kind)(place / "base")
    pipeline, lora = DiffusionPipeline.from_pretrained(base), params(text_encoder=text_encoder, alpha=alpha).lora
    networks = add_adapters(pipeline, lora, 0)
    for network in networks.values():
        for value in network.parameters():
            if value.requires_grad:
                torch.nn.init.normal_(value, std=0.3)
    weights = {name: _weights(network, lora) for name, network in networks.items()}
    save_lora(weights, {"lora": [1.0]}, ModelName(name=str(base)), 1.0, place / "generator")
    count = sum(len(get_peft_model_state_dict(network)) for network in networks.values())
    assert count == len(load_file(place / "generator" / LORA_FILE))
    return place / "generator"


def drawn(base: Path, *loras: Path) -> Any:
    model = open_model(settings.params(base, loras=[{"path": str(lora), "scale": 0.7} for lora in loras]), CPU)
    assert all(re.search(r"(\d+) of \1 modules fit", note) for note in model.notes)
    size, seeded = {"height": 16, "width": 16}, torch.Generator().manual_seed(0)
    return model.pipeline("a photo of a cat", num_inference_steps=3, generator=seeded, output_type="np", **size).images


@pytest.mark.parametrize("kind", ["stable_diffusion", "sdxl"])
def test_it_draws_the_same_picture(kind: str, tmp_path: Path) -> None:
    lora = trained(tmp_path, kind)
    export(lora, tmp_path / "lora.safetensors", "kohya")
    first, second = (drawn(tmp_path / "base", path) for path in (lora, tmp_path / "lora.safetensors"))
    assert np.abs(first - second).max() < 1e-5
    assert np.abs(first - drawn(tmp_path / "base")).max() > 1e-3


@pytest.mark.parametrize(
    ("kind", "text", "unet", "version"),
    [
        (
            "stable_diffusion",
            {"lora_te_text_model_encoder_layers_1_self_attn_out_proj"},
            "lora_unet_up_blocks_0_attentions_2_transformer_blocks_0_attn2_to_out_0",
            {"ss_base_model_version": "sd_v1"},
        ),
        (
            "sdxl",
            {f"lora_te{n}_text_model_encoder_layers_0_self_attn_q_proj" for n in (1, 2)},
            "lora_unet_output_blocks_1_1_transformer_blocks_0_attn2_to_out_0",
            {"ss_base_model_version": "sdxl_base_v1-0"},
        ),
    ],
)
def test_the_names_are_those_of_a_kohya_file(
    kind: str, text: set[str], unet: str, version: dict[str, str], tmp_path: Path
) -> None:
    export(trained(tmp_path, kind), tmp_path / "lora.safetensors", "kohya")
    tensors = load_file(tmp_path / "lora.safetensors")
    layers = {key.partition(".")[0] for key in tensors}
    assert {key.partition(".")[2] for key in tensors} == {"lora_down.weight", "lora_up.weight", "alpha"}
    assert len(tensors) == 3 * len(layers) and layers > text | {unet}
    assert all(re.fullmatch(r"lora_(unet|te\d?)_\w+", layer) for layer in layers)
    network = DiffusionPipeline.from_pretrained(tmp_path / "base").unet
    if kind == "sdxl":  # the U-Net's layers are those of a checkpoint
        own = {key.removeprefix("model.diffusion_model.").rpartition(".")[0] for key in unet_tensors(network)}
    else:
        own = {name for name, _ in network.named_modules()}
    known = {f"lora_unet_{name.replace('.', '_')}" for name in own}
    assert {layer for layer in layers if "unet" in layer} <= known
    assert {tensors[f"{layer}.alpha"].item() for layer in layers} == {2.0}
    with safe_open(tmp_path / "lora.safetensors", framework="pt") as opened:
        assert opened.metadata() == version


def test_the_second_stable_diffusion_is_named(tmp_path: Path) -> None:
    """Its U-Net reads a text of width 1,024, by which WebUI's tab of LoRAs tells them apart."""
    lora = trained(tmp_path, "stable_diffusion", text_encoder=False)
    config = tmp_path / "base/unet/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"cross_attention_dim": 1024}))
    export(lora, tmp_path / "lora.safetensors", "kohya")
    with safe_open(tmp_path / "lora.safetensors", framework="pt") as opened:
        assert opened.metadata() == {"ss_v2": "True"}


def test_the_bytes_are_the_same_twice(tmp_path: Path) -> None:
    lora = trained(tmp_path, "stable_diffusion")
    for name in ("one", "two"):
        export(lora, tmp_path / f"{name}.safetensors", "kohya")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_what_cannot_be_written_so_is_one_line(tmp_path: Path) -> None:
    lora = trained(tmp_path, "kolors", text_encoder=False)
    target = tmp_path / "lora.safetensors"
    with pytest.raises(UserError, match="is a KolorsPipeline; kohya's names are those of Stable Diffusion 1, 2 and XL"):
        export(lora, target, "kohya")
    with pytest.raises(UserError, match=r"lora\.ckpt: must end with \.safetensors"):
        export(lora, tmp_path / "lora.ckpt", "kohya")
    with pytest.raises(UserError, match="base: --format kohya is for a LoRA that train_gen made"):
        export(tmp_path / "base", target, "kohya")
    shutil.rmtree(tmp_path / "base")
    with pytest.raises(UserError, match=r"its base model.*is not on this disk; .*run `diffaug fetch`"):
        export(lora, target, "kohya")
    target.touch()
    with pytest.raises(UserError, match=r"lora\.safetensors: exists already"):
        export(lora, target, "kohya")
