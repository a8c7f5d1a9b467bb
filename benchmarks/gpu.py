"""Speed of a full-size Stable Diffusion as `generate` draws it, with PNG files and safety checker, and the fraction of
the device's measured matrix peak.

python benchmarks/gpu.py FOLDER [--batch 16] [--steps 20] [--guidance 7.5] [--size 512] [--compile] [--tiny-vae]
                                [--small]

SD-Turbo's case is --steps 1 --guidance 0 --tiny-vae. The networks are built in FOLDER from SD-1.5's configuration with
random weights: speed does not depend on them, and nothing is downloaded. FLOPs are counted by PyTorch. `--small` uses a
tenth of the width, to try the script on a CPU. Published rates stand below the table, for comparison.
"""

import argparse
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import diffusers
import torch
import yaml
from diffusers import AutoencoderTiny, DiffusionPipeline
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from full_size import build
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig, CLIPImageProcessor

from diffaug.dataset.records import ImageSet
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.plan.jobs import Job, Plan, Settings, image_seed
from diffaug.params.generate import GenerateParams
from diffaug.runtime.device import choose_device

PARAMS = Path(__file__).parents[1] / "params.yaml"
NARROW = {
    "unet/config.json": {"block_out_channels": [32, 64, 128, 128]},
    "vae/config.json": {"block_out_channels": [32, 64, 64, 64]},
}
ANCHORS = """Published for Stable Diffusion 1.5 at 512 x 512, in steps with guidance a second: A100 31 as it is, 47
compiled with channels_last, 61 by TensorRT with static shapes; RTX 4090 25, 34 compiled, 62 the best known. Few steps
on a 4090: 106 images a second."""


def build_with_checker(folder: Path, small: bool) -> None:
    """The model of `full_size.py`, with a safety checker of the published size, and a tiny VAE."""
    build("sd15", folder, NARROW if small else {})
    if (folder / "tiny").exists():
        return
    vision = {"hidden_size": 64 if small else 1024, "intermediate_size": 128 if small else 4096}
    vision |= {"num_hidden_layers": 2 if small else 24, "num_attention_heads": 2 if small else 16, "patch_size": 14}
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=768)).half()
    pipeline = DiffusionPipeline.from_pretrained(folder / "model", dtype=torch.float16)
    pipeline.register_modules(safety_checker=checker, feature_extractor=CLIPImageProcessor())
    pipeline.register_to_config(requires_safety_checker=True)
    pipeline.save_pretrained(folder / "model")
    AutoencoderTiny().half().save_pretrained(folder / "tiny")


def settings(arguments: argparse.Namespace) -> GenerateParams:
    """The repository's params with what is asked for."""
    raw: dict[str, Any] = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["generate"]
    raw |= {
        "model": {"name": str(arguments.folder / "model")},
        "tiny_vae": {"name": str(arguments.folder / "tiny")} if arguments.tiny_vae else None,
        "batch_size": arguments.batch,
        "compile": arguments.compile,
        "height": arguments.size,
        "width": arguments.size,
        "num_inference_steps": arguments.steps,
        "guidance_scale": arguments.guidance,
    }
    return GenerateParams.model_validate(raw)


def make_plan(params: GenerateParams, batches: int) -> Plan:
    """So many batches of one class."""
    side, none = params.height or 0, ImageSet((), ())
    chosen = Settings("txt2img", "ddim", params.num_inference_steps, params.guidance_scale, width=side, height=side)
    images = tuple(
        Job(f"{n}", n, 0, "a photo of a cat", "", image_seed(0, None, "txt2img", n), (side, side), "RGB", chosen)
        for n in range(batches * params.batch_size)
    )
    return Plan(none, none, images, (), (), ())


def counted_flops(pipeline: Any, params: GenerateParams) -> float:
    """FLOPs of one image: a U-Net pass per step, two with guidance, and one decode; a multiply-add counts as two."""
    options: dict[str, Any] = {"device": pipeline.device, "dtype": pipeline.dtype}
    latent = torch.zeros((1, 4, (params.height or 0) // 8, (params.width or 0) // 8), **options)
    text = torch.zeros((1, 77, pipeline.unet.config.cross_attention_dim), **options)
    with torch.no_grad(), FlopCounterMode(display=False) as unet:
        pipeline.unet(latent, torch.zeros(1, device=latent.device), text)
    with torch.no_grad(), FlopCounterMode(display=False) as vae:
        pipeline.vae.decode(latent)
    passes = params.num_inference_steps * (2 if params.guidance_scale > 1 else 1)
    return passes * unet.get_total_flops() + vae.get_total_flops()


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
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tiny-vae", action="store_true")
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    arguments.folder /= "narrow" if arguments.small else "sd15-with-checker"
    build_with_checker(arguments.folder, arguments.small)
    params, device, warm = settings(arguments), choose_device(), 2  # these batches compile, and choose kernels
    with tempfile.TemporaryDirectory() as work:
        drawing = Drawing(params, make_plan(params, arguments.rounds + warm), Path(work), device)
        flops = counted_flops(drawing.sampler.model.pipeline, params) if not params.compile else None
        drawing.draw(range(warm), lambda _: None)
        start = time.perf_counter()
        drawing.draw(range(warm, warm + arguments.rounds), lambda _: None)
        rate = arguments.rounds * arguments.batch / (time.perf_counter() - start)
        assert len(list(Path(work).rglob("*.png"))) == len(drawing.plan.images)
        dtype = drawing.model.dtype
    if flops is None:  # counted before compiling, on a second one
        eager = Drawing(params.model_copy(update={"compile": False}), make_plan(params, 1), Path("unused"), device)
        flops = counted_flops(eager.sampler.model.pipeline, params)
    peak = matrix_peak(device, dtype)
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    print(f"{name}, torch {torch.__version__}, diffusers {diffusers.__version__}, {dtype}")
    print(
        "| size | steps | guidance | batch | compiled | VAE | images/s | steps/s | TFLOP/s | peak, TFLOP/s | fraction |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {arguments.size} | {arguments.steps} | {arguments.guidance:g} | {arguments.batch} | "
        f"{'yes' if arguments.compile else 'no'} | {'tiny' if arguments.tiny_vae else 'own'} | {rate:.2f} | "
        f"{rate * arguments.steps:.1f} | {rate * flops / 1e12:.1f} | {peak / 1e12:.0f} | {rate * flops / peak:.2f} |"
    )
    print(ANCHORS)


if __name__ == "__main__":
    main()
