"""A model whose numbers leave the range of its data type: its pictures were black, and nothing stopped."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from settings import jobs, modes, params, source

from diffaug.commands.axes import parse_axes
from diffaug.commands.sheet import Subject, measure
from diffaug.dataset.records import write_set
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.sampler import Sampler, open_sampler
from diffaug.generation.plan.plan import make_plan
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")
REASON = (
    "the model's pixels are not finite numbers; set generate.dtype: float32 (now float16, in which many a VAE "
    "overflows), or set another generate.vae"
)


def overflowing(sampler: Sampler) -> Sampler:
    """With weights of the VAE that are finite, but whose sums leave the range of float16."""
    for weight in sampler.model.pipeline.vae.decoder.parameters():
        weight.data.mul_(60.0)
    return sampler


def test_a_vae_that_overflows_in_float16_is_one_line(random_pipeline: Path) -> None:
    sampler = open_sampler(params(random_pipeline, dtype="float16", batch_size=1), CPU)
    assert isinstance(sampler.draw(jobs(1), {}).images()[0], Image.Image)
    with pytest.raises(UserError) as caught:
        overflowing(sampler).draw(jobs(1), {}).images()
    assert str(caught.value) == f"txt2img-000000: {REASON}"
    loras = [{"path": "x.safetensors", "scale": 1.0}]
    sampler.params = params(random_pipeline, loras=loras)
    assert "or leave out generate.loras, or set" in sampler.draw(jobs(1), {}).advice


def test_generate_stops_before_such_a_picture_is_kept(
    random_pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "data/real/cls/train", ("cat", "dog"), [source()])
    write_set(tmp_path / "data/real/det/train", ("cat", "dog"), [source(label=None)])
    redrawn = {"weight": 1, "strength": 1.0, "feather": 1, "padding": 1, "prompt": "a photo"}
    given = params(
        random_pipeline,
        **{"dtype": "float16", "batch_size": 1, "num_inference_steps": 2},
        cls=modes(txt2img={}),
        det={"per_real": 1.0, "modes": {"inpaint_background": redrawn}},
    )
    drawing = Drawing(given, make_plan(given), tmp_path / "work", CPU)
    overflowing(drawing.sampler)
    scenes = [number for number, batch in enumerate(drawing.batches) if batch[0].part is not None]
    assert scenes
    for number in (0, scenes[0]):
        with pytest.raises(UserError, match=re.escape(REASON)):
            drawing.draw([number], lambda _: None)
    assert not list((tmp_path / "work").rglob("*.png"))


def test_a_sheet_of_such_pictures_is_refused(random_pipeline: Path) -> None:
    sampler = overflowing(open_sampler(params(random_pipeline, dtype="float16", batch_size=1), CPU))
    with pytest.raises(UserError, match=re.escape(REASON)):
        measure(Subject(sampler, (jobs(1)[0],), {}), parse_axes(["seed=1", "num_inference_steps=1"]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"clip_skip": "one"}, r"generate\.call\.clip_skip: found 'one', but \w+ takes int \| None; change it"),
        ({"clip_skip": True}, r"generate\.call\.clip_skip: found True, but"),
        (
            {"cross_attention_kwargs": "scale"},
            r"generate\.call\.cross_attention_kwargs: found 'scale', but \w+ takes dict\[str, Any\] \| None",
        ),
        ({"guidance_rescale": "much"}, r"generate\.call\.guidance_rescale: found 'much', but \w+ takes float"),
    ],
)
def test_a_wrong_type_in_call_names_its_key(random_pipeline: Path, call: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_sampler(params(random_pipeline, call=call), CPU).check(jobs(1))
    assert "\n" not in str(caught.value)


def test_a_value_in_call_that_fails_while_drawing_names_its_key(random_pipeline: Path) -> None:
    sampler = open_sampler(params(random_pipeline, call={"clip_skip": 99}), CPU)
    sampler.check(jobs(1))
    with pytest.raises(UserError, match=r"^params\.yaml: generate\.call\.clip_skip: .*tuple index out of range"):
        sampler.draw(jobs(1), {})


def test_clip_skip_of_the_example_in_params_yaml_draws(random_pipeline: Path) -> None:
    drawn = [
        open_sampler(params(random_pipeline, call=call), CPU).draw(jobs(1), {}).pixels
        for call in ({}, {"clip_skip": 1}, {"guidance_rescale": 0})
    ]
    assert not torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], drawn[2])
