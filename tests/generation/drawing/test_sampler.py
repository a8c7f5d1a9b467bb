import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from settings import jobs, modes, params, source

from diffaug.diffusion.schedulers import fitting
from diffaug.generation.drawing.sampler import Sampler, open_sampler
from diffaug.generation.plan.jobs import Job, batches
from diffaug.hub.learned import Learned
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")
Folder = Callable[[str], Path]
INPAINT = {"strength": 0.8, "repaint": "background", "padding": 1, "feather": 1}
CANNY = {"condition": "canny", "canny": [150, 300], "scale": 1.0}


def finished(sampler: Sampler, plan: list[Job], shade: int = 200) -> list[np.ndarray]:
    """The jobs' images, as saved."""
    real = source(shade)
    drawn = sampler.draw(plan, {"wide": real})
    start = None if plan[0].source_id is None else real
    return [np.asarray(sampler.views.finish(image, job, start)) for image, job in zip(drawn.images(), plan)]


def initial_noise(sampler: Sampler, ordered: list[Job]) -> dict[str, torch.Tensor]:
    """Every job's first latent, as the pipeline itself prepares it."""
    pipeline: Any = sampler._pipeline(ordered[0].settings)
    prepared: list[torch.Tensor] = []
    original = pipeline.prepare_latents

    def recorded(*arguments: Any, **settings: Any) -> torch.Tensor:
        prepared.append(original(*arguments, **settings))
        return prepared[-1]

    pipeline.prepare_latents = recorded
    noise = {}
    for batch in batches(ordered, sampler.batch_size):
        sampler.draw(batch, {})
        noise |= {job.id: latent.clone() for job, latent in zip(batch, prepared.pop())}
    return noise


def test_initial_noise_is_the_images_own(random_pipeline: Path) -> None:
    plan = jobs(6)
    expected = initial_noise(open_sampler(params(random_pipeline, batch_size=1), CPU), plan)
    assert len({latent.numpy().tobytes() for latent in expected.values()}) == len(plan)
    for batch_size, ordered in [(4, plan), (32, plan), (4, plan[::-1]), (4, plan[3:])]:
        noise = initial_noise(open_sampler(params(random_pipeline, batch_size=batch_size), CPU), ordered)
        assert all(torch.equal(noise[job.id], expected[job.id]) for job in ordered)


UNETS = ["stable_diffusion", "latent8", "sdxl"]
PLAIN = [(name, mode) for name in [*UNETS, "sd3", "kolors", "z_image"] for mode in ("txt2img", "img2img", "inpaint")]
PLAIN += [("flux2_klein", "txt2img"), ("flux2_klein", "inpaint")]
GUIDED = [(name, mode) for name in UNETS for mode in ("controlnet", "controlnet with strength")]


@pytest.mark.parametrize(("name", "mode"), PLAIN + GUIDED)
def test_every_kind_of_model_draws_in_every_mode(model_folder: Folder, name: str, mode: str) -> None:
    mode, _, strength = mode.partition(" ")
    given: dict[str, Any] = {"img2img": {"strength": 0.7}, "inpaint": INPAINT, "txt2img": {}}
    if mode == "controlnet":
        given[mode] = CANNY | {"model": {"name": str(model_folder(f"{name}-controlnet"))}}
    chosen = modes(**{mode: given[mode]})
    sampler = open_sampler(params(model_folder(name), cls=chosen), CPU)
    far = 0.7 if mode in ("img2img", "inpaint") or strength else 0.0
    plan = jobs(2, mode, scheduler="default", strength=far, height=16, width=16)
    sampler.check(plan)
    first, second = finished(sampler, plan)
    assert first.shape == (14, 20, 3)
    assert first.std() > 0
    assert not np.array_equal(first, second)
    if mode != "txt2img":
        changed = finished(sampler, plan, shade=20)[0]
        assert not np.array_equal(first, changed), "the source must change the result"


@pytest.mark.parametrize("name", ["stable_diffusion", "latent8", "kolors"])
def test_inpainting_keeps_the_object_pixel_for_pixel(model_folder: Folder, name: str) -> None:
    sampler = open_sampler(params(model_folder(name), cls=modes(inpaint=INPAINT)), CPU)
    image = finished(sampler, jobs(1, "inpaint", scheduler="default", strength=0.8))[0]
    original = np.asarray(source().open())
    kept = (slice(3, 11), slice(5, 15))  # the rectangle, padded by one pixel
    assert np.array_equal(image[kept], original[kept])
    assert not np.array_equal(image[:3], original[:3])


def test_blending_is_inpainting(model_folder: Folder) -> None:
    whole = modes(inpaint=INPAINT | {"repaint": "object", "padding": 20})
    sampler = open_sampler(params(model_folder("latent8"), cls=whole), CPU)
    everything = finished(sampler, jobs(1, "inpaint", strength=0.8))[0]
    plain = open_sampler(params(model_folder("latent8"), cls=modes(img2img={"strength": 0.8})), CPU)
    assert np.array_equal(everything, finished(plain, _as_img2img())[0])


def _as_img2img() -> list[Job]:
    job = jobs(1, "inpaint", strength=0.8)[0]
    return [dataclasses.replace(job, settings=dataclasses.replace(job.settings, mode="img2img"))]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stable_diffusion", "sd3"])
def test_every_scheduler_that_fits_draws(model_folder: Folder, name: str) -> None:
    sampler = open_sampler(params(model_folder(name)), CPU)
    for scheduler in fitting(sampler.model.pipeline.scheduler):
        image = finished(sampler, jobs(1, scheduler=scheduler, num_inference_steps=6))[0]
        assert np.isfinite(image).all() and image.std() > 0, scheduler


def test_a_tiny_vae_draws_another_image_with_the_same_noise(model_folder: Folder) -> None:
    tiny = params(model_folder("stable_diffusion"), tiny_vae={"name": str(model_folder("tiny_vae"))})
    first = finished(open_sampler(params(model_folder("stable_diffusion")), CPU), jobs(1))[0]
    assert not np.array_equal(first, finished(open_sampler(tiny, CPU), jobs(1))[0])


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        ({"eta": 0.5, "scheduler": "euler"}, {}, r"generate\.eta: the scheduler 'euler' has no eta"),
        ({}, {"call": {"true_cfg_scale": 4.0}}, r"generate\.true_cfg_scale: StableDiffusionPipeline does not have it"),
    ],
)
def test_a_knob_that_means_nothing_is_refused(
    random_pipeline: Path, settings: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        open_sampler(params(random_pipeline, **changes), CPU).check(jobs(1, **settings))


def test_a_scheduler_of_another_kind_is_refused(model_folder: Folder) -> None:
    with pytest.raises(UserError, match=r"'pndm' does not fit this model, whose own is FlowMatchEuler.*allowed are"):
        open_sampler(params(model_folder("sd3")), CPU).check(jobs(1, scheduler="pndm"))


def test_eta_changes_the_image(random_pipeline: Path) -> None:
    sampler = open_sampler(params(random_pipeline), CPU)
    assert not np.array_equal(finished(sampler, jobs(1, eta=1.0))[0], finished(sampler, jobs(1))[0])


def test_prompts_that_would_be_cut_off_and_unknown_classes_are_refused(random_pipeline: Path) -> None:
    sampler = open_sampler(params(random_pipeline), CPU)
    sampler.check(jobs(2))
    found = sampler.model.found
    found.refuse_unknown_classes(["cat", "dog", "anything: this folder does not state its classes"])
    long = dataclasses.replace(jobs(1)[0], prompt="zzz " * 9)
    with pytest.raises(UserError, match=r"generate\.prompt: 'zzz .* has 29 tokens, but the model reads 24"):
        sampler.check([long])
    with pytest.raises(UserError, match=r"was trained on cat, dog, but must draw cow"):
        dataclasses.replace(found, learned=Learned(("cat", "dog"))).refuse_unknown_classes(["cat", "cow"])


def test_an_image_does_not_depend_on_the_others_of_its_batch(random_pipeline: Path) -> None:
    sampler = open_sampler(params(random_pipeline), CPU)
    plan = jobs(4)
    alone = finished(sampler, [plan[2]] * 4)[2]
    assert np.array_equal(finished(sampler, plan)[2], alone)


def test_the_safety_checker_marks_and_never_blackens(random_pipeline: Path) -> None:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = tower | {"image_size": 16, "patch_size": 8}
    checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=tower, vision_config=vision, projection_dim=16))
    extractor = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    sampler = open_sampler(params(random_pipeline), CPU)
    plain = sampler.draw(jobs(2), {})
    assert sampler.flag(plain) == [None, None]
    flags = []
    for threshold in (-2.0, 2.0):  # below and above any cosine
        checker.concept_embeds_weights.data.fill_(threshold)
        checker.special_care_embeds_weights.data.fill_(threshold)
        sampler.model = dataclasses.replace(sampler.model, safety=(checker, extractor))
        drawn = sampler.draw(jobs(2), {})
        flags.append(sampler.flag(drawn))
        assert torch.equal(drawn.pixels, plain.pixels)
    assert flags == [[True, True], [False, False]]


def test_txt2img_results_keep_the_shape_of_things(random_pipeline: Path) -> None:
    sampler = open_sampler(params(random_pipeline), CPU)
    job = dataclasses.replace(jobs(1)[0], size=(32, 16), color="L")
    assert sampler.views.finish(Image.new("RGB", (16, 16), "white"), job, None).size == (32, 16)
    assert sampler.views.finish(Image.new("RGB", (16, 16), "white"), job, None).mode == "L"
