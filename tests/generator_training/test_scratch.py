import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from diffusers import StableDiffusionPipeline
from paths import ROOT
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record
from diffaug.generator_training.captioned import Captioned, captioned
from diffaug.generator_training.parts import build_tokenizer
from diffaug.generator_training.save import save_pipeline
from diffaug.generator_training.scratch import train_from_scratch
from diffaug.hub.learned import Learned
from diffaug.params.base import REVERSE
from diffaug.params.train_gen import TrainGenParams
from diffaug.runtime.errors import UserError

pytestmark = pytest.mark.slow

RAW = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train_gen"] | {
    "flip": True,
    "checkpoint_every": 2,
    "scratch": {
        "size": 16,
        "ema_decay": 0.5,
        "vae": {
            "channels": [8, 8, 8],
            "latent_channels": 4,
            "steps": 30,
            "batch_size": 4,
            "learning_rate": 0.003,
            "kl_weight": 1e-6,
        },
        "unet": {
            "channels": [8, 16],
            "text_width": 16,
            "steps": 4,
            "batch_size": 4,
            "learning_rate": 0.001,
            "caption_dropout": 0.1,
            "loss": "mse",
        },
    },
}
PARAMS = TrainGenParams.model_validate(RAW)


def test_what_is_trained_opens_in_diffusers_and_draws(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (8, 3, 1, 1), generator=generator, dtype=torch.uint8).expand(8, 3, 16, 16).contiguous()
    data = Captioned(images, torch.arange(8)[:, None] % 2, ("a photo of a cat", "a photo of a dog"), ("cat", "dog"))
    pipeline, losses = train_from_scratch(data, PARAMS, tmp_path / "work", torch.device("cpu"))
    assert np.mean(losses["vae"][-5:]) < np.mean(losses["vae"][:5])
    pictures = [Image.new("L", (16, 16), level) for level in range(8)]
    save_pipeline(pipeline, losses, data, 1.5, pictures, tmp_path / "generator")
    assert Learned.read(tmp_path / "generator") == Learned(("cat", "dog"), 1.5)

    strip = Image.open(tmp_path / "generator" / REVERSE)
    assert strip.size == (150 + 8 * 102 + 6, 3 * 18 + 2 * (96 + 18 + 6) + 6)  # 8 steps of 2 captions
    opened = StableDiffusionPipeline.from_pretrained(tmp_path / "generator", local_files_only=True)
    image = opened("a photo of a cat", num_inference_steps=2, generator=torch.Generator().manual_seed(1)).images[0]
    again = pipeline("a photo of a cat", num_inference_steps=2, generator=torch.Generator().manual_seed(1)).images[0]
    assert image.size == (16, 16)
    assert np.array_equal(np.asarray(image), np.asarray(again))
    assert not list((tmp_path / "generator").rglob("*.bin"))
    # The latent has unit variance, which the noise schedule assumes.
    with torch.no_grad():
        posterior = opened.vae.encode(images.float() / 127.5 - 1).latent_dist
    latents = posterior.sample(torch.Generator().manual_seed(2)) * opened.vae.config.scaling_factor
    assert latents.std() == pytest.approx(1, abs=0.15)


def test_huber_is_another_loss_for_the_denoiser_alone(tmp_path: Path) -> None:
    images = torch.randint(256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data = Captioned(images, torch.arange(8)[:, None] % 2, ("a photo of a cat", "a photo of a dog"), ("cat", "dog"))
    unet = PARAMS.scratch.unet.model_copy(update={"loss": "huber"})
    huber = PARAMS.model_copy(update={"scratch": PARAMS.scratch.model_copy(update={"unet": unet})})
    losses = {
        name: train_from_scratch(data, params, tmp_path / name, torch.device("cpu"))[1]
        for name, params in (("mse", PARAMS), ("huber", huber))
    }
    assert losses["mse"]["vae"] == losses["huber"]["vae"]
    assert losses["mse"]["unet"][0] != losses["huber"]["unet"][0] and np.isfinite(losses["huber"]["unet"]).all()


def test_tokenizer_knows_class_names_as_words_and_anything_else_as_bytes() -> None:
    tokenizer = build_tokenizer(["a photo of a sneaker", "a photo of a 猫"])
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    known = tokenizer("a photo of a sneaker").input_ids
    assert (len(known), known[0], known[-1]) == (7, start, end)
    assert tokenizer.decode(tokenizer("a 猫 zzz").input_ids, skip_special_tokens=True).strip() == "a 猫 zzz"
    assert end not in tokenizer("unknown 犬 word").input_ids[1:-1]


def test_the_tokenizer_is_the_same_in_every_process() -> None:
    """The library's trainer iterates over hash tables, whose order differs between processes."""
    names = ["T-shirt", "Trouser", "Pullover", "Dress", "Sandal", "Sneaker", "Ankle boot"]
    code = f"""
from diffaug.generator_training.parts import build_tokenizer
print(build_tokenizer([f"a photo of a {{name}}" for name in {names}]).backend_tokenizer.to_str())"""
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)]
    made = {process.communicate()[0] for process in processes}
    assert len(made) == 1 and b"sneaker" in made.pop()


def test_detection_objects_are_cut_out_by_their_boxes() -> None:
    scene = Image.new("L", (40, 40))
    scene.paste(200, (10, 20, 18, 28))
    record = make_record("s", encode_png(scene), "train", bbox=((10.0, 20.0, 8.0, 8.0),), category=(1,))
    data = captioned([ImageSet(("cat", "dog"), (record,))], "a {class}", 1.0, 16)
    assert data.images.shape == (1, 3, 16, 16)
    assert data.images.unique().tolist() == [200]
    assert data.numbers.tolist() == [[1]]
    assert data.captions == ("a cat", "a dog")
    # A square of twice the box: the object is in its middle.
    around = captioned([ImageSet(("cat", "dog"), (record,))], "a {class}", 2.0, 16).images[0, 0]
    assert (around[4:12, 4:12] == 200).all()
    assert around.sum() == 200 * 64


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(UserError, match="no images to train on"):
        captioned([ImageSet(("cat",), ())], "a {class}", 1.0, 16)
