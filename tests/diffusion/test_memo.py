from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline

from diffaug.diffusion.memo import remember_prompts


class Encoder:
    """An `encode_prompt` like those of pipelines; it counts its calls."""

    def __init__(self, result: Any) -> None:
        self.calls: list[list[str]] = []
        self.result = result

    def encode_prompt(self, prompt: list[str], device: str = "cpu", negative_prompt: list[str] | None = None) -> Any:
        self.calls.append(prompt)
        return self.result(prompt, negative_prompt)


def lengths(prompt: list[str], _: Any) -> Any:
    return torch.tensor([[float(len(text))] for text in prompt]), None, torch.zeros(7, 3)


def test_each_distinct_prompt_is_encoded_once_and_alone() -> None:
    pipeline = Encoder(lengths)
    remember_prompts(pipeline)
    embeds, nothing, positions = pipeline.encode_prompt(["a", "bb", "a"])
    assert embeds.tolist() == [[1.0], [2.0], [1.0]]
    assert nothing is None and positions.shape == (7, 3)
    pipeline.encode_prompt(["bb", "bb"])
    assert pipeline.calls == [["a"], ["bb"]]


def test_a_negative_prompt_is_part_of_what_is_remembered() -> None:
    pipeline = Encoder(lambda prompt, negative: (torch.tensor([[float(len(negative[0]))]]),))
    remember_prompts(pipeline)
    assert pipeline.encode_prompt(["a", "a"], negative_prompt=["x", "xyz"])[0].tolist() == [[1.0], [3.0]]


def test_prompts_of_different_lengths_are_left_to_the_encoder() -> None:
    def padded(prompt: list[str], _: Any) -> Any:
        return (torch.zeros(len(prompt), max(len(text) for text in prompt)),)

    pipeline = Encoder(padded)
    remember_prompts(pipeline)
    assert pipeline.encode_prompt(["a", "bbb"])[0].shape == (2, 3)
    assert pipeline.calls[-1] == ["a", "bbb"]


def test_one_tensor_a_prompt_stays_a_list() -> None:
    pipeline = Encoder(lambda prompt, _: ([torch.full((len(text),), 1.0) for text in prompt], []))
    remember_prompts(pipeline)
    first, second = pipeline.encode_prompt(["a", "bbb"])
    assert [tensor.shape[0] for tensor in first] == [1, 3]
    assert second == []


@pytest.mark.parametrize("kind", ["stable_diffusion", "sdxl", "kolors", "z_image"])
def test_real_pipelines_draw_the_same_with_and_without_it(model_folder: Callable[[str], Path], kind: str) -> None:
    pipeline = DiffusionPipeline.from_pretrained(model_folder(kind))
    pipeline.set_progress_bar_config(disable=True)
    images = []
    for _ in range(2):
        generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
        images.append(
            pipeline(
                ["a cat", "a small dog"],
                height=16,
                width=16,
                negative_prompt=["", "dark"],
                num_inference_steps=2,
                guidance_scale=3.0,
                generator=generators,
                output_type="pt",
            ).images
        )
        remember_prompts(pipeline)
    assert (images[0] - images[1]).abs().max() < 1e-4
