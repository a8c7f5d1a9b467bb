"""Pictures during a training: it stays the same, they stay the same, and an interrupted run has them all."""

from pathlib import Path
from typing import Any

import pytest
import small_models
import torch
from PIL import Image
from safetensors.torch import load_file
from tuning import bars, opened, params

from diffaug.dataset.codec import encode_png
from diffaug.generator_training.lora import train_lora
from diffaug.generator_training.samples import Samples
from diffaug.generator_training.save import SAMPLES, save_lora
from diffaug.generator_training.scratch import train_from_scratch
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")
SAMPLED = {"every": 2, "prompts": ["a photo of a cat", "a dog"], "steps": 2, "guidance_scale": 2.0}
SCRATCH = {
    "vae": {"channels": [8, 8, 8], "latent_channels": 4, "steps": 3, "batch_size": 2},
    "unet": {"channels": [8, 16], "text_width": 16, "steps": 5, "batch_size": 2},
}


class Killed(Exception):
    pass


def strip(settings: Any, steps: int, work: Path) -> bytes:
    picture = Samples(settings, 16, steps, work).strip()
    assert picture is not None
    return encode_png(picture)


@pytest.mark.parametrize(("kind", "text_encoder"), [("stable_diffusion", False), ("sdxl", True)])
def test_a_lora_is_the_same_with_and_without_samples(kind: str, text_encoder: bool, tmp_path: Path) -> None:
    folder = getattr(small_models, kind)(tmp_path / "base")
    given = {"steps": 5, "text_encoder": text_encoder, "gradient_checkpointing": True, "learning_rate": 0.05}
    plain, sampled = params(**given), params(samples=SAMPLED, **given)
    first, losses = train_lora(opened(folder), bars(0, 3, 4), plain, tmp_path / "plain", CPU)
    second, again = train_lora(opened(folder), bars(0, 3, 4), sampled, tmp_path / "sampled", CPU)
    assert losses == again
    for part, state in first.items():
        assert all(torch.equal(value, second[part][key]) for key, value in state.items()), part
    assert not (tmp_path / "plain/samples").exists()
    names = sorted(path.name for path in (tmp_path / "sampled/samples").iterdir())
    assert names == [f"{step:08d}-{number:02d}.png" for step in (0, 2, 4, 5) for number in range(2)]
    pictures = {name: (tmp_path / "sampled/samples" / name).read_bytes() for name in names}
    assert len(set(pictures.values())) == len(names), "another picture after each number of steps, for each prompt"
    assert Samples(plain, 16, 5, tmp_path / "plain").strip() is None


def test_an_interrupted_training_has_the_same_strip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the fourth step, after the checkpoint and the samples at the second."""
    folder = small_models.stable_diffusion(tmp_path / "base")
    settings = params(samples=SAMPLED, steps=5)
    train_lora(opened(folder), bars(0, 3, 4), settings, tmp_path / "whole", CPU)
    stopped = opened(folder)
    decode, calls = stopped.vae.decode, []

    def dying(*arguments: Any, **keywords: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:  # two pictures at each of the steps 0, 2 and 4
            raise Killed
        return decode(*arguments, **keywords)

    stopped.vae.decode = dying
    with pytest.raises(Killed):
        train_lora(stopped, bars(0, 3, 4), settings, tmp_path / "part", CPU)
    assert len(list((tmp_path / "part/samples").glob("0*.png"))) == 5
    train_lora(opened(folder), bars(0, 3, 4), settings, tmp_path / "part", CPU)
    assert strip(settings, 5, tmp_path / "part") == strip(settings, 5, tmp_path / "whole")


def test_a_generator_from_random_weights_is_sampled_by_its_average(tmp_path: Path) -> None:
    """The last picture is that of the generator that is saved."""
    trained = {}
    for name, samples in (("plain", None), ("sampled", SAMPLED)):
        settings = params(SCRATCH, method="scratch", samples=samples)
        pipeline, losses = train_from_scratch(bars(0, 3, 4), settings, tmp_path / name, CPU)
        trained[name] = (pipeline, losses)
    (plain, losses), (sampled, again) = trained["plain"], trained["sampled"]
    assert losses == again
    for part in ("unet", "vae", "text_encoder"):
        states = (getattr(one, part).state_dict() for one in (plain, sampled))
        assert all(torch.equal(*pair) for pair in zip(*(state.values() for state in states)))
    last = (tmp_path / "sampled/samples/00000005-01.png").read_bytes()
    (tmp_path / "sampled/samples/00000005-01.png").unlink()
    Samples(settings, 16, 5, tmp_path / "sampled").draw(5, lambda: sampled)
    assert (tmp_path / "sampled/samples/00000005-01.png").read_bytes() == last


def test_the_strip_is_an_output(tmp_path: Path) -> None:
    picture = Image.new("RGB", (4, 4), (10, 20, 30))
    save_lora({"unet": {"a": torch.zeros(1)}}, {"lora": [1.0]}, ModelName(name="./base"), 1.0, tmp_path / "g", picture)
    assert (tmp_path / "g" / SAMPLES).read_bytes() == encode_png(picture)
    assert SAMPLES in (tmp_path / "g/.sha256").read_text()
    save_lora({"unet": {"a": torch.zeros(1)}}, {"lora": [1.0]}, ModelName(name="./base"), 1.0, tmp_path / "h")
    assert not (tmp_path / "h" / SAMPLES).exists() and load_file(tmp_path / "h/pytorch_lora_weights.safetensors")


def test_a_long_training_has_sixteen_columns_with_the_first_and_the_last(tmp_path: Path) -> None:
    settings = params(samples=SAMPLED | {"every": 1, "prompts": ["a cat"]})
    (tmp_path / "samples").mkdir()
    for step in range(41):
        Image.new("RGB", (16, 16), (step, 0, 0)).save(tmp_path / f"samples/{step:08d}-00.png")
    wide = Samples(settings, 16, 40, tmp_path).strip()
    assert wide is not None
    middle = [wide.getpixel((150 + 198 * column + 50, 100))[0] for column in range(16)]
    assert middle[0] == 0 and middle[-1] == 40 and middle == sorted(set(middle))
    assert wide.width == 150 + 16 * 198 + 6


def test_pixels_that_are_no_numbers_are_one_line(tmp_path: Path) -> None:
    pipeline = opened(small_models.stable_diffusion(tmp_path / "base"))
    pipeline.vae.decoder.conv_out.bias.data.fill_(float("nan"))
    with pytest.raises(UserError, match=r"train_gen\.samples: the pixels of sample 0 are not finite.*samples: null"):
        Samples(params(samples=SAMPLED), 16, 5, tmp_path).draw(0, lambda: pipeline)
