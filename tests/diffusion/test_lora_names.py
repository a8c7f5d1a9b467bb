"""The names of all layers of Stable Diffusion at full size, in checkpoints, in kohya's files and in diffusers."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from ldm import unet_tensors
from paths import ROOT

from diffaug.diffusion.lora_names import from_checkpoint, kohya_name, place_of

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
PARTS = ("unet", "text_encoder", "text_encoder_2")


def pairs(kind: str) -> list[tuple[str, str]]:
    """Each layer of the U-Net in diffusers and in a checkpoint."""
    config = json.loads(Path(ROOT / f"diffaug/hub/carried/{kind}.json").read_text())["unet/config.json"]
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config)
    own = [key.removeprefix("model.diffusion_model.") for key in unet_tensors(unet)]
    return [(a.rpartition(".")[0], b.rpartition(".")[0]) for a, b in zip(unet.state_dict(), own)]


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_each_layer_of_a_checkpoint_is_found(kind: str) -> None:
    found = pairs(kind)
    assert len({one for one, _ in found}) == len({other for _, other in found}) > 200
    for layer, own in found:
        assert from_checkpoint(own, 2) == layer
        assert from_checkpoint(own.replace(".", "_"), 2) == layer.replace(".", "_")
        assert from_checkpoint(layer, 2) == layer


def test_the_names_that_kohya_gives() -> None:
    layers = [(layer, own) for layer, own in pairs("sdxl") if layer.endswith(ATTENTION)]
    for layer, own in layers:
        assert kohya_name("unet", layer, 2) == "lora_unet_" + own.replace(".", "_")
        assert kohya_name("unet", layer, None) == "lora_unet_" + layer.replace(".", "_")
        for number in (2, None):
            assert place_of(kohya_name("unet", layer, number), PARTS, 2) == ("unet", layer.replace(".", "_"))
    assert kohya_name("unet", "down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_q", 2) == (
        "lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q"
    )
    for given in ("encoder.layers.11.mlp.fc1", "text_model.encoder.layers.11.mlp.fc1"):
        assert kohya_name("text_encoder", given, None) == "lora_te_text_model_encoder_layers_11_mlp_fc1"
        assert kohya_name("text_encoder", given, 2) == "lora_te1_text_model_encoder_layers_11_mlp_fc1"
        assert kohya_name("text_encoder_2", given, 2) == "lora_te2_text_model_encoder_layers_11_mlp_fc1"
        assert place_of(f"text_encoder.{given}", PARTS, 2) == ("text_encoder", "encoder_layers_11_mlp_fc1")


@pytest.mark.parametrize("name", ["down_blocks.0.attn.to_q", "unet.down_blocks.0.attn.to_q"])
def test_files_of_diffsynth_leave_out_the_network(name: str) -> None:
    assert place_of(name, PARTS, 2) == ("unet", "down_blocks_0_attn_to_q")
