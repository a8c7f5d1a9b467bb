"""The memory is too small in the middle of `generate`: the line says it, and finished images are drawn only once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from settings import modes, params, source

from diffaug.dataset.records import write_set
from diffaug.generation.drawing import sampler
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.sampler import open_sampler
from diffaug.generation.plan.plan import make_plan
from diffaug.runtime.shortage import lacks_memory

CPU = torch.device("cpu")


def fails_after(calls: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose memory is too small after some calls."""
    left = [calls]

    def function(*arguments: Any, **named: Any) -> Any:
        if not left[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        left[0] -= 1
        return real(*arguments, **named)

    return function


@pytest.mark.parametrize("place", ["unet", "vae", "host", "checker"])
def test_finished_images_stay_and_only_the_others_are_drawn_again(
    random_pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "data/real/cls/train", ("cat", "dog"), [source()])
    write_set(tmp_path / "data/real/det/train", ("cat", "dog"), [])
    given = params(random_pipeline, batch_size=2, num_inference_steps=2, cls=modes(txt2img={}) | {"per_class": 4})
    drawing = Drawing(given, make_plan(given), tmp_path / "work", CPU)
    pipeline = drawing.sampler.model.pipeline
    if place in ("unet", "vae"):
        part, name = getattr(pipeline, place), "forward" if place == "unet" else "decode"
        monkeypatch.setattr(part, name, fails_after(4 if place == "unet" else 2, getattr(part, name)))
    elif place == "host":
        monkeypatch.setattr(sampler, "_to_host", fails_after(2, sampler._to_host))
    else:
        monkeypatch.setattr(drawing.sampler, "flag", fails_after(2, drawing.sampler.flag))
    with pytest.raises(torch.OutOfMemoryError) as caught:
        drawing.draw(range(len(drawing.batches)), lambda _: None)
    assert lacks_memory(caught.value)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.png")}
    assert len(kept) == 4
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    again = Drawing(given, make_plan(given), tmp_path / "work", CPU)
    again.draw(list(again.unfinished()), lambda _: None)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list((tmp_path / "work").rglob("*.png"))) == len(drawing.plan.drawn) > 4


def test_a_model_that_does_not_fit_on_the_device(random_pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def to(self: Any, device: torch.device) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("diffusers.DiffusionPipeline.to", to)
    with pytest.raises(torch.OutOfMemoryError):
        open_sampler(params(random_pipeline), CPU)
