import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.diffusion.schedulers import fitting
from diffaug.generation.drawing.pnginfo import parameters, read_flag, text_chunks
from diffaug.generation.plan.jobs import Job, Settings
from diffaug.params.generate import Adapter

MODEL = "stable-diffusion-v1-5/stable-diffusion-v1-5", "0123456789abcdef" * 4
JOB = Job(
    id="img2img-000007",
    index=7,
    label=1,
    prompt="a photo of a coat, in snow",
    negative_prompt="blurry, dark",
    seed=4815162342,
    size=(20, 14),
    color="RGB",
    settings=Settings("img2img", "dpmpp_2m_karras", 25, 7.5, strength=0.7),
    source_id="train-3",
)
IMAGE = Image.fromarray(np.arange(14 * 20 * 3, dtype=np.uint8).reshape(14, 20, 3))


def job(**settings: Any) -> Job:
    return replace(JOB, settings=replace(JOB.settings, **settings))


def encoded(image_of: Job, flagged: bool | None = None) -> bytes:
    return encode_png(IMAGE, text_chunks(image_of, (512, 768), *MODEL, flagged))


def last_line(image_of: Job, model: str = "m") -> str:
    return parameters(image_of, (64, 64), model, MODEL[1]).splitlines()[-1]


def test_the_whole_text_of_one_image() -> None:
    assert parameters(JOB, (512, 768), *MODEL) == (
        "a photo of a coat, in snow\n"
        "Negative prompt: blurry, dark\n"
        "Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 4815162342, Size: 512x768, "
        "Model hash: 0123456789, Model: stable-diffusion-v1-5/stable-diffusion-v1-5, Denoising strength: 0.7, "
        "diffaug id: img2img-000007"
    )


def test_what_does_not_apply_is_left_out() -> None:
    plain = replace(job(mode="txt2img", scheduler="ddim", guidance_scale=2.0, strength=0.0), negative_prompt="")
    assert parameters(plain, (32, 32), "models/generator", "ff" * 32) == (
        "a photo of a coat, in snow\n"
        "Steps: 25, Sampler: DDIM, CFG scale: 2, Seed: 4815162342, Size: 32x32, Model hash: ffffffffff, "
        "Model: models/generator, diffaug id: img2img-000007"
    )


@pytest.mark.parametrize(("eta", "text"), [(-1.0, None), (0.0, "0"), (0.25, "0.25"), (1.0, "1")])
def test_eta(eta: float, text: str | None) -> None:
    assert dict(part.split(": ") for part in last_line(job(eta=eta)).split(", ")).get("Eta") == text


@pytest.mark.parametrize(
    ("scheduler", "text"),
    [
        ("default", "Sampler: default, CFG"),
        ("euler_a", "Sampler: Euler a, CFG"),
        ("dpm2_a_exponential", "Sampler: DPM2 a, Schedule type: Exponential, CFG"),
        ("dpmpp_2m_sde_karras", "Sampler: DPM++ 2M SDE, Schedule type: Karras, CFG"),
        ("unipc_beta", "Sampler: UniPC, Schedule type: Beta, CFG"),
        ("pndm", "Sampler: PLMS, CFG"),
        ("sa_solver_karras", "Sampler: sa_solver, Schedule type: Karras, CFG"),
    ],
)
def test_samplers_have_webuis_names(scheduler: str, text: str) -> None:
    assert text in last_line(job(scheduler=scheduler))


def test_no_two_samplers_have_one_name() -> None:
    from diffusers import DDIMScheduler

    names = list(fitting(DDIMScheduler()))
    assert len({last_line(job(scheduler=name)) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("model", "text"), [("my model", "my model"), ("a, b: c", '"a, b: c"'), ("模型:v2", '"模型:v2"')]
)
def test_a_models_name_is_quoted_where_it_would_be_cut(model: str, text: str) -> None:
    assert f", Model: {text}, Denoising" in last_line(JOB, model)


@pytest.mark.parametrize("prompt", ["a coat", "café, ½ price", "雪中的外套", "a 🧥\nin two lines"])
def test_any_prompt_survives_the_file(prompt: str) -> None:
    given = replace(JOB, prompt=prompt, negative_prompt=f"no {prompt}")
    image = Image.open(io.BytesIO(encoded(given)))
    assert image.info["parameters"] == parameters(given, (512, 768), *MODEL)
    assert image.info["parameters"].startswith(f"{prompt}\nNegative prompt: no {prompt}\nSteps: 25, ")
    assert np.array_equal(np.asarray(image), np.asarray(IMAGE))


def test_the_same_image_and_text_are_the_same_bytes() -> None:
    assert encoded(JOB) == encoded(replace(JOB))
    others = [encode_png(IMAGE), encoded(JOB, False), encoded(replace(JOB, id="other")), encoded(job(strength=0.8))]
    assert len({encoded(JOB), *others}) == 5


@pytest.mark.parametrize("flagged", [True, False, None])
def test_the_safety_flag_is_read_back(flagged: bool | None) -> None:
    assert read_flag(encoded(JOB, flagged)) is flagged
    own = text_chunks(JOB, (1, 1), *MODEL, flagged)["diffaug"]
    value = {True: "true", False: "false", None: "null"}[flagged]
    assert own == f'{{"flagged": {value}, "id": "img2img-000007", "mode": "img2img", "source": "train-3"}}'


def test_a_file_without_our_text_has_no_flag() -> None:
    assert read_flag(encode_png(IMAGE)) is None


def test_loras_are_named_by_their_files() -> None:
    """Not by a path of the machine."""
    given = [Adapter(path="/home/me/loras/ink, fine.safetensors", scale=0.8), Adapter(path="oil", scale=1.0)]
    last = parameters(JOB, (64, 64), *MODEL, given).splitlines()[-1]
    assert 'LoRA: "ink, fine.safetensors: 0.8, oil: 1"' in last and "home" not in last
