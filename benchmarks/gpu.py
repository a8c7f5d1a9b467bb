"""Speed of a full-size Stable Diffusion 1.5 in our sampler, and the fraction of the device's measured matrix peak.

python benchmarks/gpu.py [--batch 16] [--steps 20] [--compile] [--size 512] [--small]

The networks are built from SD-1.5's configuration with random weights: speed does not depend on them, and nothing is
downloaded. FLOPs are counted by PyTorch. `--small` uses a tenth of the width, to try the script on a CPU.
"""

import argparse
import platform
import time
from pathlib import Path
from typing import Any

import diffusers
import torch
import yaml
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel

from diffaug.diffusion.opening import Model, resolve_dtype
from diffaug.generation.drawing.sampler import Sampler
from diffaug.generation.plan.jobs import Job, Settings, image_seed
from diffaug.generator_training.parts import build_scheduler, build_tokenizer
from diffaug.hub.learned import Learned
from diffaug.hub.locate import Located
from diffaug.params.generate import GenerateParams
from diffaug.runtime.device import choose_device

PARAMS = Path(__file__).parents[1] / "params.yaml"


def build(small: bool) -> StableDiffusionPipeline:
    """SD-1.5's architecture with random weights."""
    unet = {"block_out_channels": [32, 64, 128, 128]} if small else {}
    vae = [16, 32, 64, 64] if small else [128, 256, 512, 512]
    tokenizer = build_tokenizer(["a photo of a cat"])
    return StableDiffusionPipeline(
        vae=AutoencoderKL(
            sample_size=512,
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            block_out_channels=vae,
            latent_channels=4,
            layers_per_block=2,
            norm_num_groups=16,
        ),
        unet=UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8, **unet),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
            )
        ),
        tokenizer=tokenizer,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def open_sampler(arguments: argparse.Namespace, pipeline: StableDiffusionPipeline) -> Sampler:
    """Our sampler around a pipeline."""
    raw: dict[str, Any] = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["generate"]
    raw |= {
        "batch_size": arguments.batch,
        "compile": arguments.compile,
        "height": arguments.size,
        "width": arguments.size,
        "num_inference_steps": arguments.steps,
        "guidance_scale": 7.5,
    }
    params = GenerateParams.model_validate(raw)
    located = Located("random", None, Path(), "0" * 64, None)
    return Sampler(Model(pipeline, located, "0" * 64, pipeline.dtype, pipeline.device, Learned(), None), params)


def jobs(sampler: Sampler) -> list[Job]:
    """One batch."""
    p = sampler.params
    settings = Settings(
        "txt2img", "ddim", p.num_inference_steps, p.guidance_scale, width=p.width or 0, height=p.height or 0
    )
    size = (p.width or 0, p.height or 0)
    return [
        Job(f"{n}", n, 0, "a photo of a cat", "", image_seed(0, None, "txt2img", n), size, "RGB", settings)
        for n in range(p.batch_size)
    ]


def counted_flops(pipeline: StableDiffusionPipeline, size: int, steps: int) -> float:
    """FLOPs of one image: two U-Net passes per step (guidance) and one decode; a multiply-add counts as two."""
    options: dict[str, Any] = {"device": pipeline.device, "dtype": pipeline.dtype}
    latent = torch.zeros((1, 4, size // 8, size // 8), **options)
    with torch.inference_mode(), FlopCounterMode(display=False) as unet:
        pipeline.unet(latent, torch.zeros(1, device=latent.device), torch.zeros((1, 77, 768), **options))
    with torch.inference_mode(), FlopCounterMode(display=False) as vae:
        pipeline.vae.decode(latent)
    return 2 * steps * unet.get_total_flops() + vae.get_total_flops()


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Measured FLOP/s of the square matrix product that is fastest on this device."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn((side, side), device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(20):
        _wait(device)
        start = time.perf_counter()
        a @ b
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    device = choose_device()
    pipeline = build(arguments.small).to(device, resolve_dtype("auto", device))
    flops = counted_flops(pipeline, arguments.size, arguments.steps)  # before compiling
    sampler = open_sampler(arguments, pipeline)
    batch = jobs(sampler)
    for _ in range(2):  # compiles, and chooses kernels
        sampler.draw(batch, {}).images()
    start = time.perf_counter()
    for _ in range(arguments.rounds):
        sampler.draw(batch, {}).images()
    rate = arguments.rounds * arguments.batch / (time.perf_counter() - start)
    peak = matrix_peak(device, sampler.model.dtype)
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    print(f"{name}, torch {torch.__version__}, diffusers {diffusers.__version__}, {sampler.model.dtype}")
    print("| size | steps | batch | compiled | images/s | TFLOP/image | TFLOP/s | matrix peak, TFLOP/s | fraction |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {arguments.size} | {arguments.steps} | {arguments.batch} | {'yes' if arguments.compile else 'no'} | "
        f"{rate:.2f} | "
        f"{flops / 1e12:.2f} | {rate * flops / 1e12:.1f} | {peak / 1e12:.0f} | {rate * flops / peak:.2f} |"
    )


if __name__ == "__main__":
    main()
