"""`diffaug merge-models --lora`: drawing with the merged model is drawing with the LoRA loaded."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
import torch
from diffusers import DiffusionPipeline
from ldm import save_checkpoint
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
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from settings import params

from diffaug.commands.main import main
from diffaug.commands.merge_lora import merge_lora
from diffaug.diffusion.opening import open_model
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")
Folder = Callable[[str], Path]


def lora(pipeline: Any, file: Path, naming: Any, ends: tuple[str, str], kinds: tuple[str, ...]) -> Path:
    """A LoRA whose layers have ranks 1 to 3 and, of kohya, an alpha of 1.5."""
    torch.manual_seed(0)
    tensors = {}
    for number, (part, name, module) in enumerate(layers(pipeline, *kinds)):
        key = naming(part, name, pipeline)
        if key is not None:
            down, up = matrices(module, 1 + number % 3)
            tensors |= {f"{key}.{ends[0]}.weight": down, f"{key}.{ends[1]}.weight": up / 2}
            if "lora_down" in ends:
                tensors[f"{key}.alpha"] = torch.tensor(1.5)
    save_file(tensors, file)
    return file


def old_names(part: str, name: str, pipeline: Any) -> str:
    """Those of diffusers' processors in 2023, of the U-Net's attentions."""
    layer, _, end = name.removesuffix(".0").rpartition(".")
    return f"{part}.{layer}.processor.{end}_lora"


def drawn(model: Any, **changes: Any) -> np.ndarray:
    pipeline = open_model(params(model, **changes), CPU).pipeline
    size, seeded = {"height": 16, "width": 16}, torch.Generator().manual_seed(0)
    return pipeline("a photo of a cat", num_inference_steps=3, generator=seeded, output_type="np", **size).images


FORMATS = [
    ("stable_diffusion", kohya, ("lora_down", "lora_up"), (*KINDS, *CONVOLUTIONS)),
    ("stable_diffusion", flat_kohya, ("lora_down", "lora_up"), KINDS),
    ("stable_diffusion", diffusers, ("lora_A", "lora_B"), (*KINDS, *CONVOLUTIONS)),
    ("stable_diffusion", diffsynth, ("lora_A.default", "lora_B.default"), KINDS),
    ("stable_diffusion", old_names, ("down", "up"), KINDS[:4]),
    ("sdxl", kohya_sdxl, ("lora_down", "lora_up"), (*KINDS, *CONVOLUTIONS)),
    ("sdxl", kohya, ("lora_down", "lora_up"), KINDS),
    ("sdxl", old_diffusers, ("lora.down", "lora.up"), KINDS[:8]),
]


@pytest.mark.parametrize(("kind", "naming", "ends", "kinds"), FORMATS)
def test_a_merged_folder_draws_as_the_lora_does(
    kind: str, naming: Any, ends: tuple[str, str], kinds: tuple[str, ...], model_folder: Folder, tmp_path: Path
) -> None:
    folder = model_folder(kind)
    file = lora(DiffusionPipeline.from_pretrained(folder), tmp_path / "style.safetensors", naming, ends, kinds)
    said = merge_lora(folder, [(file, 0.7)], tmp_path / "merged")
    loaded = drawn(folder, loras=[{"path": str(file), "scale": 0.7}])
    assert np.abs(drawn(tmp_path / "merged") - loaded).max() < 1e-4
    assert np.abs(drawn(folder) - loaded).max() > 1e-2
    count = sum(f".{ends[0]}." in key or f"_lora.{ends[0]}." in key for key in load_file(file))
    assert said == f"{tmp_path / 'merged'}: {kind} + 0.7 x style.safetensors\nchanged by LoRA: {count} layers"


@pytest.mark.parametrize(("kind", "naming", "ends", "kinds"), FORMATS)
def test_a_merged_checkpoint_draws_as_the_lora_does(
    kind: str, naming: Any, ends: tuple[str, str], kinds: tuple[str, ...], model_folder: Folder, tmp_path: Path
) -> None:
    """In the layout of WebUI; SDXL's second text encoder has one matrix for q, k and v there."""
    folder = small_models.sdxl(tmp_path / "sdxl", 32) if kind == "sdxl" else model_folder(kind)
    file = lora(DiffusionPipeline.from_pretrained(folder), tmp_path / "style.safetensors", naming, ends, kinds)
    whole = save_checkpoint(folder, tmp_path / "model.safetensors")
    merge_lora(whole, [(file, 0.7)], tmp_path / "merged.safetensors")
    loaded = drawn(folder, loras=[{"path": str(file), "scale": 0.7}])
    merged = drawn({"name": str(tmp_path / "merged.safetensors"), "config": str(folder)})
    assert np.abs(merged - loaded).max() < 1e-4
    with safe_open(tmp_path / "merged.safetensors", framework="pt") as opened:
        assert opened.metadata()["merged"] == "model.safetensors + 0.7 x style.safetensors"


def test_a_text_encoder_of_the_second_stable_diffusion_is_merged(model_folder: Folder, tmp_path: Path) -> None:
    """Its names in a checkpoint are those of open_clip."""
    pipeline = DiffusionPipeline.from_pretrained(model_folder("stable_diffusion"))
    pipeline.text_encoder.config.hidden_act = "gelu"
    pipeline.save_pretrained(tmp_path / "sd2")
    whole = save_checkpoint(tmp_path / "sd2", tmp_path / "model.safetensors")
    file = lora(pipeline, tmp_path / "style.safetensors", kohya, ("lora_down", "lora_up"), KINDS[8:])
    merge_lora(whole, [(file, 1.0)], tmp_path / "merged.safetensors")
    before, after = load_file(whole), load_file(tmp_path / "merged.safetensors")
    key = "transformer.resblocks.1.attn.in_proj_weight"
    tensors = load_file(file)
    layer = "lora_te_text_model_encoder_layers_1_self_attn_k_proj"
    up, down = tensors[f"{layer}.lora_up.weight"], tensors[f"{layer}.lora_down.weight"]
    added = (after[f"cond_stage_model.model.{key}"] - before[f"cond_stage_model.model.{key}"])[16:32]
    assert torch.allclose(added, 1.5 / len(down) * up @ down, atol=1e-5)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        f"cond_stage_model.model.transformer.resblocks.{number}.{end}"
        for number in range(2)
        for end in ("attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
    }


def test_two_loras_are_rounded_once_to_the_data_type_of_the_model(model_folder: Folder, tmp_path: Path) -> None:
    pipeline = DiffusionPipeline.from_pretrained(model_folder("stable_diffusion"), dtype=torch.float16)
    pipeline.save_pretrained(tmp_path / "half")
    name = "mid_block.attentions.0.proj_in"
    weight = pipeline.unet.get_submodule(name).weight.detach().double()
    loras = []
    torch.manual_seed(0)
    for number, scale in enumerate((0.5, -1.5)):
        down, up = torch.randn(2, 16, 1, 1) / 4, torch.randn(16, 2, 1, 1) / 4
        file = tmp_path / f"{number}.safetensors"
        save_file({f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up}, file)
        weight += scale * (up.double()[:, :, 0, 0] @ down.double()[:, :, 0, 0])[:, :, None, None]
        loras.append((file, scale))
    merge_lora(tmp_path / "half", loras, tmp_path / "merged")
    before, after = (
        load_file(tmp_path / place / "unet/diffusion_pytorch_model.safetensors") for place in ("half", "merged")
    )
    assert [key for key in before if not torch.equal(before[key], after[key])] == [f"{name}.weight"]
    assert {value.dtype for value in after.values()} == {torch.float16}
    assert (after[f"{name}.weight"] != weight.half()).sum() <= 1  # where float32 and float64 round to two sides


def test_alpha_in_a_description_of_diffusers_counts(model_folder: Folder, tmp_path: Path) -> None:
    folder = model_folder("stable_diffusion")
    pipeline = DiffusionPipeline.from_pretrained(folder)
    key = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    pair = {f"{key}.lora_A.weight": torch.ones(2, 16) / 8, f"{key}.lora_B.weight": torch.ones(16, 2) / 8}
    about = {"r": 2, "lora_alpha": 6, "target_modules": ["to_q"]}
    pipeline.save_lora_weights(tmp_path / "lora", unet_lora_layers=pair, unet_lora_adapter_metadata=about)
    merge_lora(folder, [(tmp_path / "lora", 1.0)], tmp_path / "merged")
    merged = load_file(tmp_path / "merged/unet/diffusion_pytorch_model.safetensors")[f"{key}.weight"]
    expected = pipeline.unet.get_submodule(key).weight + 3 * torch.full((16, 16), 2 / 64)
    assert torch.allclose(merged, expected, atol=1e-6)


def test_the_card_has_both_licences_and_the_bytes_are_the_same_twice(model_folder: Folder, tmp_path: Path) -> None:
    folder = model_folder("stable_diffusion")
    pair = {"lora_down.weight": torch.ones(1, 16), "lora_up.weight": torch.ones(16, 1)}
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    tensors = {f"{layer}.{end}": value for end, value in pair.items()}
    save_file(tensors, tmp_path / "style.safetensors", metadata={"modelspec.license": "cc-by-4.0"})
    for name in ("one", "two"):
        merge_lora(folder, [(tmp_path / "style.safetensors", 1.0)], tmp_path / name)
    card = (tmp_path / "one/README.md").read_text(encoding="utf-8")
    assert "stable_diffusion + 1 x style.safetensors" in card
    assert "- stable_diffusion: not stated\n- style.safetensors: cc-by-4.0" in card
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    assert not list(tmp_path.glob(".one*"))


LAYER = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({f"{LAYER}.lora_down.weight": (1, 16)}, f"{LAYER}.lora_down.weight lacks the other matrix of its layer"),
        (
            {f"lora_unet_x.{end}.weight": (1, 1) for end in ("lora_down", "lora_up")},
            r"style.safetensors: lora_unet_x.lora_down.weight fits no weight of .*stable_diffusion; take a LoRA",
        ),
        (
            {f"{LAYER}.lora_down.weight": (1, 8), f"{LAYER}.lora_up.weight": (16, 1)},
            rf"{LAYER}.lora_down.weight: \[16, 1\] x \[1, 8\] does not fit mid_block.*, which is \[16, 16\]",
        ),
        ({f"{LAYER}.dora_scale": (16, 1)}, f"{LAYER}.dora_scale is no part of a LoRA that can be merged"),
        ({f"{LAYER}.hada_w1_a": (16, 1)}, f"{LAYER}.hada_w1_a is no part of a LoRA that can be merged"),
        ({f"{LAYER}.lora_down.weight": ()}, f"{LAYER}.lora_down.weight is no part of a LoRA that can be merged"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tensors: dict[str, tuple[int, ...]], said: str, model_folder: Folder, tmp_path: Path
) -> None:
    save_file({key: torch.ones(shape) for key, shape in tensors.items()}, tmp_path / "style.safetensors")
    with pytest.raises(UserError, match=said) as caught:
        merge_lora(model_folder("stable_diffusion"), [(tmp_path / "style.safetensors", 1.0)], tmp_path / "merged")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["style.safetensors"]


def test_files_that_are_none_are_one_line(model_folder: Folder, tmp_path: Path) -> None:
    folder, out = model_folder("stable_diffusion"), tmp_path / "out"
    (tmp_path / "bad.safetensors").write_bytes(b"abc")
    (tmp_path / "old.pt").touch()
    for name, said in {
        "nowhere.safetensors": "nowhere.safetensors: does not exist; give a LoRA as PATH:SCALE",
        "bad.safetensors": "bad.safetensors: not readable as .safetensors",
        "old.pt": "old.pt: is not a .safetensors file, and opening it can run any code; `diffaug convert",
    }.items():
        with pytest.raises(UserError, match=said):
            merge_lora(folder, [(tmp_path / name, 1.0)], out)
    with pytest.raises(UserError, match="elsewhere: does not exist"):
        merge_lora(tmp_path / "elsewhere", [(tmp_path / "bad.safetensors", 1.0)], out)
    about = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": "six"})}
    pair = {"lora_A.weight": torch.ones(1, 16), "lora_B.weight": torch.ones(16, 1)}
    layer = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    save_file({f"{layer}.{end}": value for end, value in pair.items()}, tmp_path / "six.safetensors", metadata=about)
    with pytest.raises(UserError, match=f"of its metadata states no alpha for {re.escape(layer)}"):
        merge_lora(folder, [(tmp_path / "six.safetensors", 1.0)], out)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--lora", "x.safetensors:0.8", "--alpha", "0.5"], "--lora takes no B, --alpha, --mode or --base"),
        (["b.safetensors", "--lora", "x.safetensors:0.8"], "--lora takes no B, --alpha, --mode or --base"),
        (["b.safetensors"], "give --alpha, such as 0.5: 0 is all of A, 1 all of B"),
        (["--lora", "x.safetensors:0.8"], r"a\.safetensors: does not exist"),
    ],
)
def test_what_belongs_together(given: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["diffaug", "merge-models", "a.safetensors", *given, "--out", "o.safetensors"])
    with pytest.raises(SystemExit, match=said):
        main()
