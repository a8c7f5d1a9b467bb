"""A new word: only its vectors are learned, any diffusers user can load them, and generate does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import settings
import small_models
import torch
from safetensors.torch import load_file
from tuning import bars, opened, params

from diffaug.commands.export import export
from diffaug.diffusion.finding import find_model
from diffaug.diffusion.opening import open_model
from diffaug.generator_training.captioned import Captioned
from diffaug.generator_training.save import save_embedding
from diffaug.generator_training.textual_inversion import train_textual_inversion
from diffaug.generator_training.tuning import tune
from diffaug.hub.learned import Learned
from diffaug.params.base import ModelName
from diffaug.params.train_gen import TrainGenParams
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")
TOKEN, CAPTION = "<bars>", "a photo of a <bars>"


def inversion(base: str = "./base", **changes: Any) -> TrainGenParams:
    """vectors is 2, and the word starts as `cat`."""
    samples = changes.pop("samples", None)
    small = {"model": {"name": base}, "token": TOKEN, "initial": "cat", "vectors": 2, "size": 16, "steps": 4}
    small |= {"batch_size": 2, "gradient_accumulation": 2, "gradient_checkpointing": False, "learning_rate": 0.05}
    raw = params(samples=samples).model_dump() | {"method": "textual_inversion", "caption": "a {class} of <bars>"}
    raw["textual_inversion"] |= small | changes
    return TrainGenParams.model_validate(raw)


def pictures(caption: str = CAPTION) -> Captioned:
    data = bars(0, 3, 4)
    return Captioned(data.images, data.numbers, (caption,), data.names)


def drawn(pipeline: Any, prompt: str = CAPTION) -> np.ndarray:
    size, seeded = {"height": 16, "width": 16}, torch.Generator().manual_seed(0)
    return pipeline(prompt, num_inference_steps=3, generator=seeded, output_type="np", **size).images


@pytest.mark.parametrize("kind", ["stable_diffusion", "sdxl"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_only_the_word_is_learned_and_twice_the_same(kind: str, checkpointing: bool, tmp_path: Path) -> None:
    folder = getattr(small_models, kind)(tmp_path / "base")
    tuned, before = opened(folder), opened(folder)
    chosen = inversion(gradient_checkpointing=checkpointing)
    vectors, losses = train_textual_inversion(tuned, pictures(), chosen, tmp_path / "one", CPU)
    again, _ = train_textual_inversion(opened(folder), pictures(), chosen, tmp_path / "two", CPU)
    encoders = ["text_encoder", "text_encoder_2"] if kind == "sdxl" else ["text_encoder"]
    assert list(vectors) == encoders and len(losses["textual_inversion"]) == 4
    for name in encoders:
        assert vectors[name].shape == (2, 16) and torch.equal(vectors[name], again[name])
        table = getattr(before, name).get_input_embeddings().weight
        tokenizer = getattr(before, name.replace("text_encoder", "tokenizer"))
        start = table[tokenizer("cat", add_special_tokens=False).input_ids[0]]
        assert (vectors[name] - start).abs().amax(1).min() > 0.01, "both vectors have moved"
    for name, part in before.components.items():
        if isinstance(part, torch.nn.Module):
            now = getattr(tuned, name).state_dict()
            for key, value in part.state_dict().items():
                assert torch.equal(now[key][: len(value)] if value.ndim else now[key], value), (name, key)


@pytest.mark.parametrize("kind", ["stable_diffusion", "sdxl"])
def test_generate_draws_with_the_word(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As models/generator, and as in the pipeline that was taught it."""
    monkeypatch.chdir(tmp_path)
    base = str(getattr(small_models, kind)(tmp_path / "base"))
    tuned = opened(Path(base))
    tune(tuned, pictures(), inversion(base), tmp_path / "work", CPU, tmp_path / "models/generator")
    model = open_model(settings.params("models/generator"), CPU)
    count = 2 if kind == "sdxl" else 1
    file = Path("models/generator/learned_embeds.safetensors")
    assert model.notes == (f"generate.embeddings: {file}: {count} of {count} text encoders fit {type(tuned).__name__}",)
    assert np.abs(drawn(model.pipeline) - drawn(tuned)).max() < 1e-5
    assert np.abs(drawn(model.pipeline) - drawn(opened(Path(base)), "a photo of a cat cat")).max() > 1e-3
    assert Learned.read(Path("models/generator")) == Learned((), 1.0, TOKEN)
    assert set(load_file(file)) == ({"clip_l", "clip_g"} if kind == "sdxl" else {TOKEN})
    found = find_model(settings.params("models/generator"), CPU)
    assert found.adapters == () and [one.token for one in found.embeddings] == [TOKEN]
    assert found.sha256 != find_model(settings.params(base), CPU).sha256


def test_any_diffusers_user_can_load_it(tmp_path: Path) -> None:
    folder = small_models.stable_diffusion(tmp_path / "base")
    tuned = opened(folder)
    tune(tuned, pictures(), inversion(str(folder)), tmp_path / "work", CPU, tmp_path / "word")
    plain = opened(folder)
    plain.load_textual_inversion(str(tmp_path / "word"))  # it finds the file, and the token in it
    assert np.abs(drawn(plain) - drawn(tuned)).max() < 1e-5
    assert {path.name for path in (tmp_path / "word").iterdir()} == {
        *(".sha256", "base.json", "learned.json", "learned_embeds.safetensors", "losses.csv")
    }


def test_an_interrupted_training_ends_with_the_same_bytes(tmp_path: Path) -> None:
    folder = small_models.stable_diffusion(tmp_path / "base")
    samples = {"every": 2, "prompts": [CAPTION], "steps": 2, "guidance_scale": 2.0}
    chosen = inversion(samples=samples)
    whole, losses = train_textual_inversion(opened(folder), pictures(), chosen, tmp_path / "whole", CPU)
    plain, same = train_textual_inversion(opened(folder), pictures(), inversion(), tmp_path / "plain", CPU)
    assert losses == same and torch.equal(whole["text_encoder"], plain["text_encoder"]), "samples change nothing"

    class Killed(Exception):
        pass

    stopped = opened(folder)
    encode, calls = stopped.encode_prompt, []

    def dying(*arguments: Any, **given: Any) -> Any:
        calls.append(1)
        if len(calls) > 6:  # two for each step: in the fourth
            raise Killed
        return encode(*arguments, **given)

    stopped.encode_prompt = dying
    with pytest.raises(Killed):
        train_textual_inversion(stopped, pictures(), chosen, tmp_path / "part", CPU)
    again, _ = train_textual_inversion(opened(folder), pictures(), chosen, tmp_path / "part", CPU)
    for name, vectors in (("one", whole), ("two", again)):
        save_embedding(vectors, TOKEN, losses, ModelName(name="./base"), 1.0, tmp_path / name)
    files = [(tmp_path / name / "learned_embeds.safetensors").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    names = [path.name for path in sorted((tmp_path / "part/samples").iterdir())]
    assert names == [f"{step:08d}-00.png" for step in (0, 2, 4)]
    for name in names:
        assert (tmp_path / "part/samples" / name).read_bytes() == (tmp_path / "whole/samples" / name).read_bytes()


@pytest.mark.parametrize(
    ("kind", "changes", "caption", "said"),
    [
        (
            "stable_diffusion",
            {},
            "a photo of a cat",
            r"train_gen\.caption: the caption 'a photo of a cat' does not have",
        ),
        ("stable_diffusion", {"token": "cat"}, "a cat", r"\.token: the model knows cat already; take another word"),
        (
            "stable_diffusion",
            {"initial": "xyzzy"},
            CAPTION,
            r"initial: 'xyzzy' has 5 tokens, .* 2 vectors; take a",
        ),
        ("stable_diffusion", {"vectors": 24}, CAPTION, r"'a photo of a <bars>' has 30 tokens, but the model reads 24"),
        ("kolors", {}, CAPTION, "KolorsPipeline reads texts with ChatGLMModel, and a word is taught to CLIP only"),
        ("sd3", {}, CAPTION, r"textual_inversion\.model: StableDiffusion3Pipeline has no U-Net"),
    ],
)
def test_what_cannot_be_taught_is_one_line(
    kind: str, changes: dict[str, Any], caption: str, said: str, tmp_path: Path
) -> None:
    none = {"text_encoder_3": None, "tokenizer_3": None} if kind == "sd3" else {}
    pipeline = opened(getattr(small_models, kind)(tmp_path / "base"), **none)
    chosen = inversion().model_copy(
        update={"textual_inversion": inversion().textual_inversion.model_copy(update=changes)}
    )
    with pytest.raises(UserError, match=said) as caught:
        train_textual_inversion(pipeline, pictures(caption), chosen, tmp_path / "work", CPU)
    assert "\n" not in str(caught.value)


def test_it_is_not_written_as_a_lora(tmp_path: Path) -> None:
    save_embedding({"text_encoder": torch.ones(1, 4)}, "<x>", {"a": [1.0]}, ModelName(name="./b"), 1.0, tmp_path / "g")
    with pytest.raises(UserError, match=r"has no pytorch_lora_weights.*copy its learned_embeds\.safetensors into"):
        export(tmp_path / "g", tmp_path / "lora.safetensors", "kohya")
