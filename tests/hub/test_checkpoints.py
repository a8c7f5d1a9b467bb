"""Checkpoints of WebUI and ComfyUI: what they are recognised as, and the configurations that are carried for them."""

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import refused
from safetensors.torch import save_file
from sparse import networks, shapes, sparse_file
from transformers import CLIPTokenizer

from diffaug.diffusion.abilities import native_size
from diffaug.diffusion.opening import open_pipeline
from diffaug.hub import checkpoints
from diffaug.hub.checkpoints import CARRIED, Checkpoint, carried_folder, recognise
from diffaug.hub.locate import Located, locate_pipeline
from diffaug.params.base import ModelName

UNET = "model.diffusion_model."
TELLING = "output_blocks_11_1_transformer_blocks_0_norm1_bias"
TEXTS = {
    "sd1": "cond_stage_model.transformer.text_model.embeddings.position_ids",
    "sd1_inpainting": "cond_stage_model.transformer.text_model.embeddings.position_ids",
    "sd2": "cond_stage_model.model.attn_mask",
    "sdxl": "conditioner.embedders.0.transformer.text_model.embeddings.position_ids",
}
_VAE, _CLIP_L, _CLIP_H, _CLIP_G = 83_653_863, 123_060_480, 340_387_840, 694_659_840


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))


@cache
def full(kind: str) -> dict[str, tuple[int, ...]]:
    return shapes(carried_folder(kind))


def seen(tensors: dict[str, tuple[int, ...]], tmp_path: Path, **more: Any) -> Checkpoint:
    return recognise(sparse_file(tmp_path / "x.safetensors", tensors, **more), "generate.model")


@pytest.mark.parametrize(
    ("prompt", "ids"),
    [
        ("", []),
        ("a photo of a cat", [320, 1125, 539, 320, 2368]),
        (
            "A DSLR photograph of 3 dogs, 50mm f/1.8",
            [320, 33740, 8853, 539, 274, 3255, 267, 276, 271, 2848, 325, 270, 272, 269, 279],
        ),
        (
            "it's the artist's Café-naïve über-style",
            [585, 568, 518, 2456, 568, 15304, 268, 1097, 35689, 563, 6522, 1516, 268, 1844],
        ),
        ("一张猫的照片", [19759, 222, 161, 120, 254, 163, 234, 104, 163, 248, 226, 163, 227, 100, 163, 231, 485]),
        ("snow ❄️ and fire 🔥", [2583, 12402, 537, 1769, 3016]),
        (
            "masterpiece, best quality, (blue eyes:1.2), <lora:x:0.8>",
            [
                *(12066, 267, 949, 3027, 267, 263, 1746, 3095, 281, 272, 269, 273),
                *(2361, 283, 2179, 320, 281, 343, 281, 271, 269, 279, 285),
            ],
        ),
        (
            "hyperrealistic   antidisestablishmentarianism\n16:9",
            [7997, 16157, 3120, 4262, 7726, 12658, 1585, 44351, 272, 277, 281, 280],
        ),
    ],
)
def test_the_tokens_are_those_of_clip(prompt: str, ids: list[int]) -> None:
    """The numbers are those that open_clip's own SimpleTokenizer 3.3.0 gives."""
    folder = carried_folder("sdxl")
    for part, padding in (("tokenizer", 49407), ("tokenizer_2", 0)):
        tokenizer = CLIPTokenizer.from_pretrained(folder / part)
        found = tokenizer(prompt, padding="max_length", max_length=77, truncation=True).input_ids
        assert found == [49406, *ids, 49407, *[padding] * (75 - len(ids))]
        assert len(tokenizer) == 49408


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("sd1", [859_520_964, _VAE, _CLIP_L]),
        ("sd1_inpainting", [859_535_364, _VAE, _CLIP_L]),
        ("sd2", [865_910_724, _VAE, _CLIP_H]),
        ("sd2_v", [865_910_724, _VAE, _CLIP_H]),
        ("sd2_inpainting", [865_925_124, _VAE, _CLIP_H]),
        ("sdxl", [2_567_463_684, _VAE, _CLIP_L, _CLIP_G]),
        ("sdxl_inpainting", [2_567_478_084, _VAE, _CLIP_L, _CLIP_G]),
    ],
)
def test_the_networks_have_the_published_numbers_of_parameters(kind: str, counts: list[int]) -> None:
    found = networks(carried_folder(kind)).values()
    assert [sum(one.numel() for one in network.parameters()) for network in found] == counts


def test_each_kind_is_recognised(tmp_path: Path) -> None:
    plain = [kind for kind in CARRIED if "_v" not in kind]
    assert plain == ["sd1", "sd1_inpainting", "sd2", "sd2_inpainting", "sdxl", "sdxl_inpainting"]
    assert [seen(full(kind), tmp_path).kind for kind in plain] == plain


def test_a_file_can_say_that_it_predicts_the_velocity(tmp_path: Path) -> None:
    mark = {"v_pred": (0,)}
    assert seen(full("sd1") | mark, tmp_path).kind == "sd1_v"
    assert seen(full("sdxl") | mark, tmp_path).kind == "sdxl_v"
    assert seen(full("sdxl") | mark | {"ztsnr": (0,)}, tmp_path).kind == "sdxl_v_zsnr"
    assert seen(full("sdxl"), tmp_path, metadata={"modelspec.prediction_type": "v"}).kind == "sdxl_v"
    assert seen(full("sdxl"), tmp_path, metadata={"modelspec.prediction_type": "epsilon"}) == Checkpoint("sdxl")


def test_a_model_with_another_noise_schedule_is_not_taken_for_sdxl(tmp_path: Path) -> None:
    message = refused(lambda: seen(full("sdxl") | {"edm_vpred.sigma_max": (1,)}, tmp_path))
    assert "is of an architecture that is not known here; add config: " in message


def test_stable_diffusion_2_is_told_apart_as_far_as_the_file_allows(tmp_path: Path) -> None:
    wide, narrow = torch.tensor([0.1, -0.1]).repeat(160), torch.tensor([0.08, -0.08]).repeat(160)
    told = seen(full("sd2"), tmp_path, **{TELLING: wide})
    assert (told.kind, told.note) == (
        "sd2_v",
        "generate.model: x.safetensors does not say which Stable Diffusion 2 it is; read as at 768 pixels, which "
        "predicts the velocity; if its pictures are only noise, add config: sd2",
    )
    told = seen(full("sd2"), tmp_path, **{TELLING: narrow})
    assert told.kind == "sd2" and told.note is not None and told.note.endswith("add config: sd2_v")
    for said, kind in (("v", "sd2_v"), ("epsilon", "sd2")):
        stated = seen(full("sd2"), tmp_path, metadata={"modelspec.prediction_type": said})
        assert stated == Checkpoint(kind, None)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"lora_unet_mid_block.lora_down.weight": (4, 4)}, "is a LoRA, no model; name it in generate.loras"),
        ({"first_stage_model.x": (1,)}, "is no checkpoint of WebUI: it has no tensor model.diffusion_model.*; take a"),
        ({"unet.conv_in.weight": (320, 4, 3, 3)}, "is no checkpoint of WebUI"),
        ({f"{UNET}input_blocks.0.0.weight": (16, 4, 3, 3)}, "is of an architecture that is not known here; add config"),
        ({f"{UNET}head.modulation": (1,)}, "is of an architecture that is not known here; add config"),
        (
            {"conditioner.embedders.0.model.transformer.resblocks.9.mlp.c_proj.bias": (1280,)},
            "is SDXL's refiner, which only finishes what the base model drew; take a checkpoint of the base model",
        ),
        (
            {f"{UNET}double_blocks.0.img_attn.norm.key_norm.scale": (128,)},
            "is a checkpoint like black-forest-labs/FLUX.1-schnell, whose configuration is not carried; name the whole "
            "model, {name: black-forest-labs/FLUX.1-schnell, revision: 741f7c3ce8b383c54771c7003378a50191e9efe9}, or, "
            "if the file has the text encoders too, add config: black-forest-labs/FLUX.1-schnell@741f7c3ce",
        ),
        (
            {
                f"{UNET}joint_blocks.0.context_block.adaLN_modulation.1.bias": (9216,),
                f"{UNET}pos_embed": (1, 36864, 1536),
            },
            "is a checkpoint like stabilityai/stable-diffusion-3-medium-diffusers, whose configuration is not carried",
        ),
    ],
)
def test_what_is_no_known_checkpoint_is_one_line(tmp_path: Path, tensors: dict[str, Any], words: str) -> None:
    message = refused(lambda: seen(tensors, tmp_path))
    start = f"params.yaml: generate.model: {tmp_path / 'x.safetensors'} "
    assert message.startswith(start) and words in message and "\n" not in message


def test_a_unet_alone_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    unet = {name: shape for name, shape in full("sd1").items() if name.startswith(UNET)}
    assert "has no text encoder, only a part of the model; take the whole checkpoint" in refused(
        lambda: seen(unet, tmp_path)
    )
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "x.safetensors").open("rb").read(5000))
    assert "is damaged, or not a .safetensors file" in refused(
        lambda: recognise(tmp_path / "cut.safetensors", "generate.model")
    )


def test_the_hash_covers_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    model = {kind: ModelName(name=str(tmp_path / "x.safetensors"), config=kind) for kind in ("sd2", "sd2_v")}
    found = {kind: locate_pipeline(one, "generate.model").sha256 for kind, one in model.items()}
    assert found["sd2"] != found["sd2_v"]
    shutil.copytree(checkpoints._HERE, tmp_path / "carried")
    monkeypatch.setattr(checkpoints, "_HERE", tmp_path / "carried")
    assert locate_pipeline(model["sd2"], "generate.model").sha256 == found["sd2"]
    merges = tmp_path / "carried/merges.txt"
    merges.write_text(merges.read_text().replace("i n\nt h\n", "t h\ni n\n"), encoding="utf-8")
    assert locate_pipeline(model["sd2"], "generate.model").sha256 != found["sd2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "pipeline", "size"),
    [
        ("sd1", "StableDiffusionPipeline", 512),
        ("sd1_inpainting", "StableDiffusionInpaintPipeline", 512),
        ("sd2", "StableDiffusionPipeline", 512),
        ("sdxl", "StableDiffusionXLPipeline", 1024),
    ],
)
def test_a_checkpoint_of_full_size_opens(tmp_path: Path, kind: str, pipeline: str, size: int) -> None:
    """Every tensor of the networks comes from the file; its weights are all zero and take no disk. Published files have
    more tensors than the networks."""
    more = {"alphas_cumprod": (1000,), "model_ema.decay": (), TEXTS[kind]: (1, 77)}
    file = sparse_file(tmp_path / "x.safetensors", full(kind) | more)
    found = recognise(file, "generate.model")
    located = Located(file.name, None, file, "", None, (file,), carried_folder(found.kind))
    opened = open_pipeline(ModelName(name=str(file)), located, "generate.model", torch.float16)
    assert (type(opened).__name__, native_size(opened)) == (pipeline, (size, size))
    assert opened.scheduler.config.prediction_type == "epsilon"
