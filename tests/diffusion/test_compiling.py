"""Compiled networks: each is compiled once for all modes, and draws what it drew before."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from settings import jobs, modes, params, source
from small_transformers import flux

from diffaug.diffusion.compiling import keep_steps_on_cpu
from diffaug.generation.drawing.sampler import Sampler, open_sampler

CPU = torch.device("cpu")
INPAINT = {"strength": 0.8, "repaint": "background", "padding": 1, "feather": 1}
CANNY = {"condition": "canny", "canny": [100, 200], "scale": 1.0}


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A second compilation of the same code is an error. Its operations are not translated, which takes minutes."""
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    with torch._dynamo.config.patch(error_on_recompile=True):
        yield
    torch._dynamo.reset()


def drawn(sampler: Sampler, mode: str) -> np.ndarray:
    strength = {} if mode in ("txt2img", "controlnet") else {"strength": 0.8}
    return sampler.draw(jobs(3, mode, **strength), {"wide": source()}).pixels.numpy().astype(int)


def test_every_network_is_compiled_once_for_all_modes(model_folder: Callable[[str], Path]) -> None:
    chosen = modes(
        txt2img={},
        img2img={"strength": 0.8},
        inpaint=INPAINT,
        controlnet=CANNY | {"model": {"name": str(model_folder("stable_diffusion-controlnet"))}},
    )
    plain, fast = (
        open_sampler(params(model_folder("stable_diffusion"), cls=chosen, compile=wanted), CPU)
        for wanted in (False, True)
    )
    for mode in ("txt2img", "img2img", "inpaint"):
        assert np.abs(drawn(plain, mode) - drawn(fast, mode)).max() <= 2, mode
    with torch._dynamo.config.patch(error_on_recompile=False):  # the U-Net gets more inputs
        assert np.abs(drawn(plain, "controlnet") - drawn(fast, "controlnet")).max() <= 2
    for mode in ("controlnet", "txt2img"):
        drawn(fast, mode)
    network = fast.control.network if fast.control else None
    for part in (fast.model.pipeline.unet, fast.model.pipeline.vae.decoder, network):
        assert "forward" in vars(part)  # replaced by the compiled one


def test_of_a_transformer_only_its_block_is_compiled(tmp_path: Path) -> None:
    model = flux(tmp_path / "flux")
    plain, fast = (open_sampler(params(model, compile=wanted), CPU) for wanted in (False, True))
    euler = jobs(3, scheduler="euler", guidance_scale=1.0)
    first, second = (sampler.draw(euler, {}).pixels.numpy().astype(int) for sampler in (plain, fast))
    assert np.abs(first - second).max() <= 2
    compiled = {
        type(module).__name__
        for module in fast.model.pipeline.transformer.modules()
        if module._compiled_call_impl is not None
    }
    assert compiled == {"FluxTransformerBlock", "FluxSingleTransformerBlock"}


@pytest.mark.parametrize("name", ["ddim", "euler_a", "dpmpp_2m", "lcm", "unipc", "pndm"])
def test_steps_stay_on_the_cpu_and_change_nothing(model_folder: Callable[[str], Path], name: str) -> None:
    """Asked for the steps on another device, "meta" here, a scheduler would put them there."""
    from diffaug.diffusion.schedulers import make_scheduler

    own = open_sampler(params(model_folder("stable_diffusion")), CPU).model.pipeline.scheduler
    plain, kept = make_scheduler(name, own), make_scheduler(name, own)
    keep_steps_on_cpu(kept)
    plain.set_timesteps(4, device="cpu")
    kept.set_timesteps(4, device=torch.device("meta"))
    assert kept.timesteps.device == CPU
    assert torch.equal(kept.timesteps, plain.timesteps)
