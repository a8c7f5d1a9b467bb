"""A generator that was trained here, written as a folder to publish."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from huggingface_hub import ModelCard
from PIL import Image
from safetensors.torch import load_file

from diffaug.commands.export import export
from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.save import save_lora, save_pipeline
from diffaug.hub.learned import Learned
from diffaug.hub.seen import read_seen
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError


@pytest.fixture
def generator(saved_pipeline: Path, tmp_path: Path) -> Path:
    """As train_gen writes it, from three images."""
    pipeline = StableDiffusionPipeline.from_pretrained(saved_pipeline, local_files_only=True)
    images = [Image.new("L", (16, 16), level) for level in (0, 100, 200)]
    losses = {"vae": [0.5, 0.25], "unet": [0.75]}
    captions = ("a photo of a cat", "a photo of a dog")
    data = Captioned(torch.zeros(0, 3, 16, 16), torch.zeros(0, 1), captions, ("cat", "dog"), (14, 16))
    save_pipeline(pipeline, losses, data, 1.5, images, tmp_path / "generator")
    return tmp_path / "generator"


def test_it_opens_in_half_the_size_and_draws_the_same(generator: Path, tmp_path: Path) -> None:
    export(generator, tmp_path / "published")
    for part in ("unet", "vae"):
        weights = load_file(tmp_path / "published" / part / "diffusion_pytorch_model.safetensors")
        assert {value.dtype for value in weights.values()} == {torch.float16}
    drawn = []
    for folder in (generator, tmp_path / "published"):
        opened = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        seeded = torch.Generator().manual_seed(0)
        drawn.append(np.asarray(opened("a photo of a cat", num_inference_steps=2, generator=seeded).images[0], float))
    assert np.abs(drawn[0] - drawn[1]).mean() < 1  # grey levels


def test_what_it_learned_and_saw_goes_with_it(generator: Path, tmp_path: Path) -> None:
    export(generator, tmp_path / "published")
    assert Learned.read(tmp_path / "published") == Learned(("cat", "dog"), 1.5, pixels=(14, 16))
    assert read_seen(str(tmp_path / "published")).trained == read_seen(str(generator)).trained
    card = ModelCard.load(tmp_path / "published/README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("diffusers", "text-to-image")
    assert "on 3 images of" in card.text and "cat, dog" in card.text and "vae 2 (0.2500), unet 1 (0.7500)" in card.text


def test_the_bytes_are_the_same_twice(generator: Path, tmp_path: Path) -> None:
    contents = []
    for name in ("one", "other"):
        source, folder = tmp_path / name / "source", tmp_path / name / "published"
        shutil.copytree(generator, source)  # the path of the source is not in the bytes
        export(source, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        contents.append({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})
    assert contents[0] == contents[1]


def test_a_damaged_generator_is_one_line_and_nothing_is_written(generator: Path, tmp_path: Path) -> None:
    weights = generator / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"diffusion_pytorch_model.*edited by hand, or DVC's cache has a damaged copy"):
        export(generator, tmp_path / "published")
    (generator / ".sha256").unlink()  # as in a folder that came from elsewhere
    with pytest.raises(UserError, match="generator: the generator cannot be opened"):
        export(generator, tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_a_generator_without_its_curves_is_one_line(generator: Path, tmp_path: Path) -> None:
    (generator / "losses.csv").unlink()
    (generator / ".sha256").unlink()
    with pytest.raises(UserError, match=r"losses\.csv"):
        export(generator, tmp_path / "published")


def test_what_cannot_be_published_so(generator: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(UserError, match="full: is not empty"):
        export(generator, tmp_path / "full")
    with pytest.raises(UserError, match="--format yolo has no meaning"):
        export(generator, tmp_path / "new", "yolo")
    save_lora({"unet": {"a": torch.zeros(1)}}, {"lora": [1.0]}, ModelName(name="./base"), 1.0, tmp_path / "lora")
    with pytest.raises(UserError, match=r"lora: has no seen\.safetensors, .*publish the folder as it is"):
        export(tmp_path / "lora", tmp_path / "new")
