from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from settings import params
from small_models import stable_diffusion

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.diffusion.opening import open_model
from diffaug.diffusion.roundtrip import through_vae
from diffaug.runtime.errors import UserError


def photo(id: str, mode: str, size: tuple[int, int]) -> Record:
    noise = np.random.default_rng(0).integers(256, size=(size[1], size[0], 3), dtype=np.uint8)
    return make_record(id, encode_png(Image.fromarray(noise).convert(mode)), "train", label=0)


def test_pictures_keep_size_and_mode_and_each_id_draws_its_own(tmp_path: Path) -> None:
    model = open_model(params(model={"name": str(stable_diffusion(tmp_path / "model"))}), torch.device("cpu"))
    records = [photo("a", "L", (20, 20)), photo("b", "L", (20, 20)), photo("c", "RGB", (30, 17))]
    made = through_vae(records, model)
    opened = [make_record("x", data, "train").open() for data in made]
    assert [(image.mode, image.size) for image in opened] == [("L", (20, 20)), ("L", (20, 20)), ("RGB", (30, 17))]
    assert made[0] != made[1]
    assert made[1:] == through_vae(records[1:], model)
    assert all(data != record.image for data, record in zip(made, records))


def test_a_vae_that_overflows_stops_the_round_trip(tmp_path: Path) -> None:
    """Its pictures were black, and merge accepted them."""
    model = open_model(
        params(model={"name": str(stable_diffusion(tmp_path / "m"))}, dtype="float16"), torch.device("cpu")
    )
    assert len(through_vae([photo("a", "L", (20, 20))], model)) == 1
    for weight in model.pipeline.vae.decoder.parameters():
        weight.data.mul_(60.0)
    with pytest.raises(
        UserError, match=r"vae_roundtrip: a: the VAE of .*/m gives .* in float16; set generate\.dtype: float32"
    ):
        through_vae([photo("a", "L", (20, 20))], model)


def test_a_pipeline_without_a_vae_is_one_line(tmp_path: Path) -> None:
    model = open_model(params(model={"name": str(stable_diffusion(tmp_path / "model"))}), torch.device("cpu"))
    model.pipeline.vae = None
    with pytest.raises(UserError, match=r"merge\.recipe vae_roundtrip: .* has no VAE that encodes"):
        through_vae([], model)
