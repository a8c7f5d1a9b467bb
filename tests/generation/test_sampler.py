from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from diffaug.errors import UserError
from diffaug.generation.cache import WorkCache, draw_all
from diffaug.generation.plan import Job, batches, image_seed
from diffaug.generation.sampler import Sampler, open_sampler
from diffaug.params import ClsModes, DetModes, GenerateParams, Img2Img, Paste, Txt2Img
from diffaug.records import ImageSet
from diffaug.schedulers import SCHEDULERS


def params(batch_size: int = 4, scheduler: str = "ddim") -> GenerateParams:
    return GenerateParams(
        seed=0,
        batch_size=batch_size,
        prompt="a photo of a {class}",
        negative_prompt="",
        scheduler=scheduler,
        num_inference_steps=4,
        guidance_scale=2.0,
        cls=ClsModes(txt2img=Txt2Img(per_class=1), img2img=Img2Img(per_class=1, strength=0.6)),
        det=DetModes(paste=Paste(per_real=1.0, items_per_class=1, max_objects=1, scale=[1.0, 1.0], max_overlap=0.1)),
    )


def jobs(count: int, mode: str = "txt2img") -> list[Job]:
    return [
        Job(
            id=f"{mode}-{index:06d}",
            index=index,
            mode=mode,
            label=index % 2,
            prompt=f"a photo of a {('cat', 'dog')[index % 2]}",
            negative_prompt="",
            seed=image_seed(0, None, mode, index),
            size=(20, 14),
            color="L",
            source_id="wide" if mode == "img2img" else None,
            strength=0.6 if mode == "img2img" else None,
        )
        for index in range(count)
    ]


def initial_noise(sampler: Sampler, ordered: list[Job]) -> dict[str, torch.Tensor]:
    """Every job's first latent, as the pipeline itself prepares it."""
    pipeline: Any = sampler.pipelines["txt2img"]
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
    cpu = torch.device("cpu")
    expected = initial_noise(open_sampler(random_pipeline, params(batch_size=1), cpu), plan)
    assert len({latent.numpy().tobytes() for latent in expected.values()}) == len(plan)
    for batch_size, ordered in [(4, plan), (32, plan), (4, plan[::-1]), (4, plan[3:])]:
        noise = initial_noise(open_sampler(random_pipeline, params(batch_size=batch_size), cpu), ordered)
        assert all(torch.equal(noise[job.id], expected[job.id]) for job in ordered)


def test_a_batch_is_filled_up_so_that_more_images_change_none(random_pipeline: Path, tmp_path: Path) -> None:
    sampler = open_sampler(random_pipeline, params(), torch.device("cpu"))
    few, count = draw_all(jobs(5), sampler, ImageSet((), ()), WorkCache(tmp_path / "few"), "images")
    many, _ = draw_all(jobs(9), sampler, ImageSet((), ()), WorkCache(tmp_path / "many"), "images")
    assert count == 5
    assert {id: many[id] for id in few} == few


def test_finished_images_are_not_drawn_again(random_pipeline: Path, tmp_path: Path) -> None:
    sampler = open_sampler(random_pipeline, params(), torch.device("cpu"))
    cache = WorkCache.open(tmp_path, sampler.fingerprint())
    first, _ = draw_all(jobs(6), sampler, ImageSet((), ()), cache, "images")
    lost = cache.path(jobs(6)[2], None)
    lost.unlink()
    again, drawn = draw_all(jobs(6), sampler, ImageSet((), ()), cache, "images")
    assert drawn == 1
    assert again == first


def test_the_cache_is_named_after_all_that_changes_a_pixel(random_pipeline: Path, tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    sampler = open_sampler(random_pipeline, params(), cpu)
    changed = [
        replace(sampler, num_inference_steps=5),
        replace(sampler, guidance_scale=3.0),
        replace(sampler, batch_size=8),
        replace(sampler, weights_sha256="0"),
        open_sampler(random_pipeline, params(scheduler="euler"), cpu),
    ]
    folders = {WorkCache.open(tmp_path, one.fingerprint()).folder for one in [sampler, *changed]}
    assert len(folders) == 6
    job = jobs(1)[0]
    cache = WorkCache.open(tmp_path, sampler.fingerprint())
    names = {cache.path(one, None) for one in (job, replace(job, seed=1), replace(job, prompt="a cat"))}
    assert len(names | {cache.path(job, "a source")}) == 4


def test_img2img_takes_any_size_and_starts_from_its_source(random_pipeline: Path) -> None:
    sampler = open_sampler(random_pipeline, params(), torch.device("cpu"))
    white, black = Image.new("L", (77, 30), 255), Image.new("L", (77, 30), 0)
    first = sampler.draw(jobs(2, "img2img"), {"wide": white})
    second = sampler.draw(jobs(2, "img2img"), {"wide": black})
    assert [(image.size, image.mode) for image in first] == [((20, 14), "L")] * 2
    assert not np.array_equal(np.asarray(first[0]), np.asarray(second[0]))


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_every_scheduler_draws(random_pipeline: Path, name: str) -> None:
    image = open_sampler(random_pipeline, params(scheduler=name), torch.device("cpu")).draw(jobs(1), {})[0]
    assert np.asarray(image).std() > 0


def test_prompts_that_would_be_cut_off_and_unknown_classes_are_refused(random_pipeline: Path, tmp_path: Path) -> None:
    sampler = open_sampler(random_pipeline, params(), torch.device("cpu"))
    sampler.check_prompts(jobs(2), ["cat", "dog", "anything: this folder does not say what it knows"])
    long = replace(jobs(1)[0], prompt="zzz " * 9)
    with pytest.raises(UserError, match=r"generate\.prompt: 'zzz .* has 29 tokens, but the model reads 24"):
        sampler.check_prompts([long], [])
    with pytest.raises(UserError, match=r"the generator has learned cat, dog, but is to draw cow"):
        replace(sampler, classes=("cat", "dog")).check_prompts(jobs(2), ["cat", "cow"])


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model_index\.json"):
        open_sampler(tmp_path, params(), torch.device("cpu"))
