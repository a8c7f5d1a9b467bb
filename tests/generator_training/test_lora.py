from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import settings
import small_models
import torch
from safetensors.torch import load_file
from tuning import CAPTION, bars, opened, params

from diffaug.diffusion.loras import LORA_FILE, load_loras
from diffaug.diffusion.opening import open_model
from diffaug.generator_training.lora import train_lora
from diffaug.generator_training.save import save_lora
from diffaug.generator_training.scratch import train_from_scratch
from diffaug.params.base import ModelName
from diffaug.params.generate import Adapter
from diffaug.runtime.errors import UserError

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def positions(pipeline: Any, count: int = 24) -> np.ndarray:
    """The position of the light (0: left border, 15: right border) in `count` samples, each with its own seed."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
    drawn = pipeline(
        [CAPTION] * count,
        num_inference_steps=8,
        guidance_scale=1.0,
        height=16,
        width=16,
        generator=generators,
        output_type="np",
    )
    columns = drawn.images.mean(axis=(1, 3))
    weights = columns - columns.min(axis=1, keepdims=True) + 1e-6
    return (weights * np.arange(16)).sum(axis=1) / weights.sum(axis=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Stable Diffusion that was trained on bars at the left and at the right equally."""
    folder = tmp_path_factory.mktemp("base")
    mixed = bars(0, 10)
    learned = params(
        {
            "vae": {
                "channels": [16, 16, 16],
                "latent_channels": 4,
                "steps": 120,
                "batch_size": 12,
                "learning_rate": 0.004,
            },
            "unet": {"channels": [32, 64], "text_width": 16, "steps": 400, "batch_size": 24, "learning_rate": 0.002},
        }
    )
    pipeline, _ = train_from_scratch(mixed, learned, folder / "work", CPU)
    pipeline.save_pretrained(folder / "model")
    return folder / "model"


def test_samples_move_toward_the_images_it_was_tuned_on(base: Path, tmp_path: Path) -> None:
    before = positions(opened(base))
    settings = params(rank=8, alpha=8, steps=100, batch_size=12, gradient_accumulation=1, learning_rate=0.01)
    tuned = opened(base)
    weights, losses = train_lora(tuned, bars(9, 10), settings, tmp_path / "work", CPU)
    save_lora(weights, losses, ModelName(name="./base"), 1.5, tmp_path / "generator")
    assert {path.name for path in (tmp_path / "generator").iterdir()} == {
        ".sha256",
        LORA_FILE,
        "base.json",
        "learned.json",
        "losses.csv",
    }

    loaded = opened(base)
    loaded.load_lora_weights(tmp_path / "generator")  # like any diffusers user
    after = positions(loaded)
    right = 9.5 + 2.5  # the middle of the bars on which it was tuned
    assert np.abs(after - right).mean() < 0.75 * np.abs(before - right).mean()
    # In the training's own pipeline, through the plain loader and fused: the same images.
    assert np.abs(positions(tuned) - after).max() < 0.01
    fused = opened(base)
    load_loras(fused, [Adapter(path=str(tmp_path / "generator"), scale=1.0)], torch.float32)
    assert np.abs(positions(fused) - after).max() < 0.01
    none = opened(base)
    load_loras(none, [Adapter(path=str(tmp_path / "generator"), scale=0.0)], torch.float32)
    assert np.abs(positions(none) - before).max() < 0.01
    twice = [Adapter(path=str(tmp_path / "generator"), scale=0.5)] * 2
    halves = opened(base)
    load_loras(halves, twice, torch.float32)
    assert np.abs(positions(halves) - after).max() < 0.01, "two half scales equal one full scale"


@pytest.mark.parametrize(
    ("kind", "text_encoder"),
    [("stable_diffusion", False), ("stable_diffusion", True), ("sdxl", False), ("sdxl", True), ("kolors", False)],
)
def test_models_with_a_unet_are_tuned_and_resumed_to_the_same_bytes(
    kind: str, text_encoder: bool, tmp_path: Path
) -> None:
    folder = getattr(small_models, kind)(tmp_path / "base")
    data = bars(0, 10, 4)
    settings = params(text_encoder=text_encoder, steps=4, gradient_checkpointing=text_encoder or kind == "kolors")
    whole, _ = train_lora(opened(folder), data, settings, tmp_path / "whole", CPU)
    expected = (
        {"unet", "text_encoder"} | ({"text_encoder_2"} if kind == "sdxl" else set()) if text_encoder else {"unet"}
    )
    assert set(whole) == expected
    assert all(state and all(value.isfinite().all() for value in state.values()) for state in whole.values())
    assert all(any((v != 0).any() for k, v in state.items() if "lora_B" in k or "up" in k) for state in whole.values())

    class Killed(Exception):
        pass

    stopped = opened(folder)
    original, calls = stopped.unet.forward, []

    def dying(*arguments: Any, **keywords: Any) -> Any:
        calls.append(1)
        if len(calls) > 6:  # two batches per step: in the fourth step, after the checkpoint at the second
            raise Killed
        return original(*arguments, **keywords)

    stopped.unet.forward = dying
    with pytest.raises(Killed):
        train_lora(stopped, data, settings, tmp_path / "part", CPU)
    assert (tmp_path / "part" / "lora.safetensors").exists()
    again, _ = train_lora(opened(folder), data, settings, tmp_path / "part", CPU)
    for part, state in whole.items():
        assert all(torch.equal(value, again[part][key]) for key, value in state.items()), part
    save_lora(whole, {"lora": [1.0]}, ModelName(name="./base"), 1.5, tmp_path / "one")
    save_lora(again, {"lora": [1.0]}, ModelName(name="./base"), 1.5, tmp_path / "two")
    assert (tmp_path / "one" / LORA_FILE).read_bytes() == (tmp_path / "two" / LORA_FILE).read_bytes()
    opened(folder).load_lora_weights(tmp_path / "one")


def test_kolors_is_conditioned_and_noised_as_it_was_trained(tmp_path: Path) -> None:
    """The text of the layer before the last, the pooled text of the last token, the image's size, 1,100 steps."""
    pipeline = opened(small_models.kolors(tmp_path / "base"))
    tokens = pipeline.tokenizer([CAPTION], padding="max_length", max_length=256, return_tensors="pt")
    with torch.no_grad():
        layers = pipeline.text_encoder(**tokens, output_hidden_states=True).hidden_states
    seen: list[tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]] = []
    original = pipeline.unet.forward

    def recording(noisy: torch.Tensor, steps: torch.Tensor, **given: Any) -> Any:
        seen.append((steps, given["encoder_hidden_states"], given["added_cond_kwargs"]))
        return original(noisy, steps, **given)

    pipeline.unet.forward = recording
    train_lora(pipeline, bars(0, 3, 4), params(batch_size=64, caption_dropout=0.0), tmp_path / "work", CPU)
    steps = torch.cat([one[0] for one in seen])
    assert 1000 < steps.max() < 1100 and steps.min() < 100
    _, text, more = seen[0]
    assert torch.allclose(text, layers[-2].permute(1, 0, 2).expand(64, -1, -1), atol=1e-5)
    assert torch.allclose(more["text_embeds"], layers[-1][-1].expand(64, -1), atol=1e-5)
    assert more["time_ids"].tolist() == [[16, 16, 0, 0, 16, 16]] * 64


def test_a_lora_of_kolors_is_drawn_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By generate, as models/generator; and as in the pipeline on which it was trained."""
    monkeypatch.chdir(tmp_path)
    folder = small_models.kolors(tmp_path / "base")
    tuned = opened(folder)
    weights, losses = train_lora(tuned, bars(0, 3, 4), params(steps=8, learning_rate=0.05), tmp_path / "work", CPU)
    save_lora(weights, losses, ModelName(name="./base"), 1.5, tmp_path / "models/generator")
    model = open_model(settings.params("models/generator"), CPU)
    assert model.notes[0].endswith("32 of 32 modules fit KolorsPipeline")
    drawn, trained, plain = (positions(one, 4) for one in (model.pipeline, tuned, opened(folder)))
    assert np.abs(drawn - trained).max() < 0.01
    assert np.abs(drawn - plain).max() > 0.05


def test_a_language_model_is_not_tuned(tmp_path: Path) -> None:
    message = r"lora\.text_encoder: found true, but that of KolorsPipeline is the language model ChatGLMModel"
    with pytest.raises(UserError, match=message):
        train_lora(
            opened(small_models.kolors(tmp_path / "base")), bars(0, 3, 2), params(text_encoder=True), tmp_path, CPU
        )


def test_prior_preservation_draws_once_and_is_learned_too(tmp_path: Path) -> None:
    folder = small_models.stable_diffusion(tmp_path / "base")
    prior = {"caption": "a {class}", "images": 3, "steps": 2, "guidance_scale": 2.0, "weight": 1.0}
    with_prior, curve = train_lora(opened(folder), bars(0, 3, 4), params(prior=prior), tmp_path / "a", CPU)
    drawn = sorted((tmp_path / "a" / "prior").iterdir())
    assert [path.name for path in drawn] == ["0000-00000.png", "0000-00001.png", "0000-00002.png"]
    times = [path.stat().st_mtime_ns for path in drawn]
    train_lora(opened(folder), bars(0, 3, 4), params(prior=prior), tmp_path / "a", CPU)
    assert [path.stat().st_mtime_ns for path in drawn] == times
    without, plain = train_lora(opened(folder), bars(0, 3, 4), params(), tmp_path / "b", CPU)
    assert curve["lora"][0] > plain["lora"][0], "the prior's error is added"
    assert any(not torch.equal(value, without["unet"][key]) for key, value in with_prior["unet"].items())


def test_a_lora_is_trained_with_an_optimizer_of_eight_bits(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    folder = small_models.stable_diffusion(tmp_path / "base")
    losses = {}
    for kind in ("adamw", "adamw8bit"):
        chosen = params(optimizer=kind, rank=512, steps=6, learning_rate=0.001)
        weights, curve = train_lora(opened(folder), bars(0, 3, 4), chosen, tmp_path / kind, CPU)
        losses[kind] = curve["lora"]
        assert all(value.isfinite().all() for value in weights["unet"].values())
    saved = load_file(tmp_path / "adamw8bit/lora.safetensors")
    assert {value.dtype for key, value in saved.items() if key.endswith(".state1")} == {torch.uint8}
    assert losses["adamw8bit"] != losses["adamw"]
    assert losses["adamw8bit"] == pytest.approx(losses["adamw"], rel=0.02)


def test_captions_of_ones_own_are_learned(tmp_path: Path) -> None:
    """Of two captions of every image, both are given to the text encoder, in turns by the seed; twice the same."""
    folder = small_models.stable_diffusion(tmp_path / "base")
    data = replace(bars(0, 3, 4), captions=("a cat", "a dog"), numbers=torch.tensor([[0, 1]] * 4))
    found, read = [], []
    for name in ("one", "two"):
        pipeline = opened(folder)
        encode = pipeline.encode_prompt
        pipeline.encode_prompt = lambda prompt, encode=encode, **given: read.extend(prompt) or encode(prompt, **given)
        settings = params(text_encoder=True, caption_dropout=0.0, steps=4)
        found.append(train_lora(pipeline, data, settings, tmp_path / name, CPU)[0])
    first, second = read[: len(read) // 2], read[len(read) // 2 :]
    assert set(first) == {"a cat", "a dog"} and first == second and len(first) == 16
    for part, state in found[0].items():
        assert all(torch.equal(value, found[1][part][key]) for key, value in state.items())


def test_a_prior_of_pictures_without_classes_is_one_caption(tmp_path: Path) -> None:
    folder = small_models.stable_diffusion(tmp_path / "base")
    prior = {"caption": "a photo of a dog", "images": 2, "steps": 2, "guidance_scale": 2.0, "weight": 1.0}
    settings = params(prior=prior, method="lora", images="own/rex")
    train_lora(opened(folder), replace(bars(0, 3, 4), names=()), settings, tmp_path / "work", CPU)
    assert [path.name for path in sorted((tmp_path / "work/prior").iterdir())] == ["0000-00000.png", "0000-00001.png"]


def test_huber_is_another_loss(tmp_path: Path) -> None:
    folder = small_models.stable_diffusion(tmp_path / "base")
    curves = {
        kind: train_lora(opened(folder), bars(0, 3, 4), params(loss=kind), tmp_path / kind, CPU)[1]["lora"]
        for kind in ("mse", "huber")
    }
    assert len(curves["huber"]) == 3 and np.isfinite(curves["huber"]).all()
    assert curves["mse"][0] != pytest.approx(curves["huber"][0], rel=0.01)  # of the same noise and the same weights


def test_a_model_without_a_unet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"StableDiffusion3Pipeline has no U-Net.*train_gen\.method: none"):
        train_lora(
            opened(small_models.sd3(tmp_path / "base"), text_encoder_3=None, tokenizer_3=None),
            bars(0, 3, 2),
            params(),
            tmp_path,
            CPU,
        )


def test_alpha_is_folded_in_so_that_no_metadata_is_needed(tmp_path: Path) -> None:
    folder = small_models.stable_diffusion(tmp_path / "base")
    plain = train_lora(opened(folder), bars(0, 3, 4), params(rank=2, alpha=2, steps=1), tmp_path / "a", CPU)[0]
    save_lora(plain, {"lora": [1.0]}, ModelName(name="./base"), 1.5, tmp_path / "lora")
    assert all(key.startswith("unet.") for key in load_file(tmp_path / "lora" / LORA_FILE))
    assert b'"__metadata__":{"format":"pt"}' in (tmp_path / "lora" / LORA_FILE).read_bytes()[:4096]
