"""LoRAs in the formats of their trainers: what each adds to the weights, against the sum computed by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import refused
from diffusers import DiffusionPipeline
from lora_files import (
    CONVOLUTIONS,
    KINDS,
    diffsynth,
    diffusers,
    flat_kohya,
    kohya,
    kohya_sdxl,
    layers,
    matrices,
    old_diffusers,
)
from safetensors.torch import save_file
from settings import params

from diffaug.diffusion.opening import Model, open_model

Folder = Callable[[str], Path]
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("model", "naming", "ends", "kinds"),
    [
        ("stable_diffusion", kohya, ("lora_down", "lora_up", "alpha"), KINDS),
        ("stable_diffusion", kohya, ("lora_down", "lora_up", "alpha"), (*KINDS, *CONVOLUTIONS)),
        ("stable_diffusion", kohya, ("lora_down", "lora_up", None), KINDS),
        ("stable_diffusion", flat_kohya, ("lora_down", "lora_up", "alpha"), KINDS),
        ("sdxl", kohya, ("lora_down", "lora_up", "alpha"), (*KINDS, *CONVOLUTIONS)),
        ("sdxl", kohya_sdxl, ("lora_down", "lora_up", "alpha"), (*KINDS, *CONVOLUTIONS)),
        ("stable_diffusion", diffusers, ("lora_A", "lora_B", None), (*KINDS, *CONVOLUTIONS)),
        ("stable_diffusion", diffusers, ("lora_A", "lora_B", "alpha"), KINDS),
        ("sdxl", diffusers, ("lora_A", "lora_B", None), KINDS),
        ("sdxl", old_diffusers, ("lora_A", "lora_B", None), KINDS),
        ("sd3", diffusers, ("lora_A", "lora_B", None), KINDS),
        ("stable_diffusion", diffsynth, ("lora_A.default", "lora_B.default", None), (*KINDS, *CONVOLUTIONS)),
        ("sdxl", diffsynth, ("lora_A.default", "lora_B.default", None), KINDS),
        ("sd3", diffsynth, ("lora_A.default", "lora_B.default", None), KINDS),
    ],
)
def test_a_lora_adds_what_its_format_says(
    model_folder: Folder, tmp_path: Path, model: str, naming: Any, ends: tuple[str, str, str | None], kinds: Any
) -> None:
    """W + scale x alpha / rank x B A, with another alpha and rank for each layer."""
    folder, file = model_folder(model), tmp_path / "lora.safetensors"
    pipeline = open_model(params(folder), CPU).pipeline
    torch.manual_seed(0)
    tensors, expected = {}, {}
    for number, (part, name, module) in enumerate(layers(pipeline, *kinds)):
        key = naming(part, name, pipeline)
        if key is None:
            continue
        rank, alpha = 1 + number % 3, (0.5, 1.0, 4.0, 3.0)[number % 4]
        down, up = matrices(module, rank)
        tensors |= {f"{key}.{ends[0]}.weight": down, f"{key}.{ends[1]}.weight": up}
        if ends[2] is None:
            alpha = float(rank)
        else:
            tensors[f"{key}.alpha"] = torch.tensor(alpha)
        change = (up.flatten(1) @ down.flatten(1)).reshape(module.weight.shape)
        expected[part, name] = module.weight.detach() + 0.7 * alpha / rank * change
    save_file(tensors, file)
    opened = open_model(params(folder, loras=[{"path": str(file), "scale": 0.7}]), CPU)
    found = {place: dict(getattr(opened.pipeline, place[0]).named_modules())[place[1]].weight for place in expected}
    assert [place for place, value in expected.items() if not torch.allclose(found[place], value, atol=1e-5)] == []
    assert opened.notes == (
        f"generate.loras: {file}: {len(expected)} of {len(expected)} modules fit {type(pipeline).__name__}",
    )


def one_layer(pipeline: Any) -> tuple[str, Any]:
    name = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    return f"unet.{name}", pipeline.unet.get_submodule(name)


@pytest.mark.parametrize("stored", [torch.float32, torch.float16])
def test_a_lora_is_added_before_the_weights_are_rounded(model_folder: Folder, tmp_path: Path, stored: Any) -> None:
    """A small LoRA, in bfloat16: the sum is rounded once. Added to rounded weights, it loses a part of its effect."""
    folder, file = tmp_path / "model", tmp_path / "lora.safetensors"
    pipeline = DiffusionPipeline.from_pretrained(model_folder("stable_diffusion"), dtype=stored)
    pipeline.save_pretrained(folder)
    key, layer = one_layer(pipeline)
    torch.manual_seed(0)
    down, up = torch.randn(4, 16) / 4, torch.randn(16, 4) / 400
    save_file({f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": up}, file)
    model = open_model(params(folder, loras=[{"path": str(file), "scale": 1.0}], dtype="bfloat16"), CPU)
    found = one_layer(model.pipeline)[1].weight
    weight, change = layer.weight.detach().float(), up @ down
    # The matrices have the stored data type when they are multiplied, so a few sums fall to another side.
    assert (found != (weight + change).bfloat16()).sum() <= (0 if stored is torch.float32 else 2)
    assert {one.dtype for one in model.pipeline.unet.state_dict().values()} == {torch.bfloat16}
    late = (weight.bfloat16() + change.bfloat16()).float()
    lost, kept = ((one.float() - weight - change).norm() / change.norm() for one in (late, found))
    print(f"\nerror relative to the change: {lost:.1%} when added late, {kept:.1%} now")
    assert kept < 0.9 * lost


def test_two_loras_are_rounded_once(model_folder: Folder, tmp_path: Path) -> None:
    folder = model_folder("stable_diffusion")
    pipeline = DiffusionPipeline.from_pretrained(folder)
    key, layer = one_layer(pipeline)
    torch.manual_seed(0)
    sum_, loras = layer.weight.detach().double(), []
    for number, scale in enumerate((0.5, -1.5)):
        file = tmp_path / f"{number}.safetensors"
        down, up = torch.randn(2, 16) / 4, torch.randn(16, 2) / 4
        save_file({f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": up}, file)
        sum_, loras = sum_ + scale * (up.double() @ down.double()), [*loras, {"path": str(file), "scale": scale}]
    model = open_model(params(folder, loras=loras, dtype="bfloat16"), CPU)
    found = one_layer(model.pipeline)[1].weight
    assert (found != sum_.bfloat16()).sum() <= 1  # where float32 and float64 round to two sides


def test_a_lora_for_another_model_is_refused(model_folder: Folder, tmp_path: Path) -> None:
    """One for SDXL: the first text encoder is of the same kind, the U-Net is not."""
    pipeline = open_model(params(model_folder("sdxl")), CPU).pipeline
    tensors = {}
    for part, name, module in layers(pipeline, *KINDS):
        down, up = matrices(module, 2)
        key = kohya_sdxl(part, name, pipeline)
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(1.0)}
    save_file(tensors, tmp_path / "sdxl.safetensors")
    given = {"loras": [{"path": str(tmp_path / "sdxl.safetensors"), "scale": 1.0}]}
    message = refused(lambda: open_model(params(model_folder("stable_diffusion"), **given), CPU))
    assert message.startswith(f"params.yaml: generate.loras: {tmp_path / 'sdxl.safetensors'}") and "fit" in message


def test_a_dora_is_refused(model_folder: Folder, tmp_path: Path) -> None:
    """Its lengths were left out without a word, and the rest of it added."""
    folder, file = model_folder("stable_diffusion"), tmp_path / "dora.safetensors"
    key = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
    weights = {"lora_down.weight": torch.ones(1, 16), "lora_up.weight": torch.ones(16, 1), "dora_scale": torch.ones(16)}
    save_file({f"{key}.{end}": value for end, value in weights.items()}, file)
    message = refused(lambda: open_model(params(folder, loras=[{"path": str(file), "scale": 1.0}]), CPU))
    assert message.endswith(
        "dora.safetensors is a DoRA, whose lengths (dora_scale) the library leaves out; take a LoRA"
    )


def test_a_description_by_diffusers_sets_the_scale(model_folder: Folder, tmp_path: Path) -> None:
    """diffusers' own trainers store alpha in the file's metadata."""
    folder = model_folder("stable_diffusion")
    pipeline = DiffusionPipeline.from_pretrained(folder)
    key, layer = one_layer(pipeline)
    down, up = torch.ones(2, 16) / 8, torch.ones(16, 2) / 8
    described = {"unet": {"r": 2, "lora_alpha": 6, "target_modules": ["down_blocks.1.attentions.0.proj_in", "to_q"]}}
    pipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers={
            f"{key.removeprefix('unet.')}.lora_{one}.weight": value for one, value in (("A", down), ("B", up))
        },
        unet_lora_adapter_metadata=described["unet"],
    )
    model = open_model(params(folder, loras=[{"path": str(tmp_path), "scale": 1.0}]), CPU)
    expected = layer.weight.detach() + 3 * (up @ down)
    assert torch.allclose(one_layer(model.pipeline)[1].weight, expected, atol=1e-6)


def test_an_open_model_has_no_adapters_left(model_folder: Folder, tmp_path: Path) -> None:
    folder, file = model_folder("stable_diffusion"), tmp_path / "lora.safetensors"
    key, _ = one_layer(DiffusionPipeline.from_pretrained(folder))
    save_file({f"{key}.lora_A.weight": torch.ones(1, 16), f"{key}.lora_B.weight": torch.ones(16, 1)}, file)
    model: Model = open_model(params(folder, loras=[{"path": str(file), "scale": 1.0}]), CPU)
    assert [name for name in model.pipeline.unet.state_dict() if "lora" in name or "base_layer" in name] == []
