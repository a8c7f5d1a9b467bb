"""The generator in pretrained/: its files, what it says about itself, and the preset that trains it."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from huggingface_hub import ModelCard
from paths import ROOT
from safetensors.torch import load_file

from diffaug.commands.use import params_with
from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.save import save_pipeline
from diffaug.generator_training.scratch import train_from_scratch
from diffaug.hub.learned import Learned
from diffaug.hub.seen import read_seen
from diffaug.params import load_params

CLOTHES = ROOT / "pretrained/clothes"
NETWORKS = (
    "text_encoder/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)


def test_it_opens_in_diffusers_and_draws() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(CLOTHES, dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline("a photo of a Sneaker", num_inference_steps=10, generator=torch.Generator().manual_seed(0)).images[
        0
    ]
    pixels = np.asarray(image, dtype=float)
    assert pixels.shape == (32, 32, 3)
    assert pixels.std() > 20  # a shape on a ground
    assert np.abs(pixels - pixels.mean(axis=2, keepdims=True)).max() < 40  # grey, nearly
    assert pixels[:4].mean() < 30 < pixels.mean()  # a shoe lies low, on black


def test_its_files_are_small_and_in_half_precision() -> None:
    files = [path for path in CLOTHES.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20e6
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl")]
    for network in NETWORKS:
        kinds = {value.dtype for value in load_file(CLOTHES / network).values()}
        assert torch.float16 in kinds and torch.float32 not in kinds


def test_what_it_says_about_itself() -> None:
    card = ModelCard.load(CLOTHES / "README.md")
    assert (card.data.license, card.data.library_name, card.data.pipeline_tag) == ("mit", "diffusers", "text-to-image")
    seen = len(read_seen(str(CLOTHES)).trained)
    assert f"{seen:,} images" in card.text and "diffaug preset pretrained train_gen" in card.text
    assert all(name in card.text for name in Learned.read(CLOTHES).classes)


def test_the_default_draws_with_it_and_from_other_images() -> None:
    """It learned from the images from number 10,000 on; the default draws from those before."""
    default, training = (
        load_params(ROOT / "params.yaml"),
        params_with(ROOT / "presets/pretrained.yaml", ROOT / "params.yaml"),
    )
    assert default.generate.model.name == default.download.unseen_by == "./pretrained/clothes"
    first, end = default.download.cls.train_files
    assert first == 0 and end <= training.download.cls.train_files[0]
    assert len(read_seen(str(CLOTHES)).trained) == training.download.cls.pool


@pytest.mark.slow
def test_its_preset_trains_the_same_networks(tmp_path) -> None:
    settings = params_with(ROOT / "presets/pretrained.yaml", ROOT / "params.yaml").train_gen
    short = {name: getattr(settings.scratch, name).model_copy(update={"steps": 2}) for name in ("vae", "unet")}
    settings = settings.model_copy(update={"scratch": settings.scratch.model_copy(update=short)})
    names = Learned.read(CLOTHES).classes
    noise = torch.randint(256, (20, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    captions = tuple(settings.caption.replace("{class}", name) for name in names)
    data = Captioned(noise, torch.arange(20)[:, None] % len(names), captions, names)
    pipeline, losses = train_from_scratch(data, settings, tmp_path / "work", torch.device("cpu"))
    save_pipeline(pipeline, losses, data, settings.context, [], tmp_path / "made")
    for network in NETWORKS:
        made, published = load_file(tmp_path / "made" / network), load_file(CLOTHES / network)
        assert {key: value.shape for key, value in made.items()} == {key: one.shape for key, one in published.items()}
    for config in ("scheduler/scheduler_config.json", "tokenizer/tokenizer.json"):
        assert (tmp_path / "made" / config).read_bytes() == (CLOTHES / config).read_bytes()
