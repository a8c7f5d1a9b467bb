"""Compares our `generate` with a minimal diffusers loop, on the model and the data of the working folder.

python benchmarks/loop.py [--images 400] [--rounds 3]

The loop draws the same batches with the same pipeline and writes nothing. Ours encodes PNGs, writes the work cache and
the image tables. Both run alternately in one process; the table shows the fastest round of each.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from diffaug.diffusion.schedulers import make_scheduler
from diffaug.generation.composing.tables import write_tables
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.sampler import initial_generators
from diffaug.generation.plan.plan import make_plan
from diffaug.params import load_params
from diffaug.params.generate import GenerateParams
from diffaug.runtime.device import choose_device


def ours(params: GenerateParams, drawing: Drawing, folder: Path) -> float:
    """Seconds for drawing, encoding, caching and writing the tables."""
    start = time.perf_counter()
    drawing.draw(drawing.unfinished(), lambda _: None)
    write_tables(drawing, params, folder / "cls", folder / "det")
    return time.perf_counter() - start


def plain(pipeline: DiffusionPipeline, params: GenerateParams, drawing: Drawing) -> float:
    """Seconds for the minimal loop."""
    start = time.perf_counter()
    for batch in drawing.batches:
        jobs = [*batch, *[batch[-1]] * (params.batch_size - len(batch))]
        pipeline(
            prompt=[job.prompt for job in jobs],
            negative_prompt=[job.negative_prompt for job in jobs],
            num_inference_steps=params.num_inference_steps,
            guidance_scale=params.guidance_scale,
            generator=initial_generators(jobs),
        )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    device = choose_device()
    loaded = load_params().generate
    classes = len(make_plan(loaded).cls.names)
    raw = loaded.model_dump() | {
        "cls": {"per_class": arguments.images // classes, "modes": {"txt2img": {"weight": 1}}},
        "det": {"per_real": 0.0, "modes": {}},
    }
    params = GenerateParams.model_validate(raw)
    pipeline = DiffusionPipeline.from_pretrained(params.model.name, local_files_only=True).to(device)
    pipeline.scheduler = make_scheduler(params.scheduler, pipeline.scheduler)
    pipeline.set_progress_bar_config(disable=True)
    times: dict[str, list[float]] = {"plain loop": [], "generate": []}
    count = 0
    for turn in range(arguments.rounds + 1):  # the first round warms up
        with tempfile.TemporaryDirectory() as folder:
            drawing = Drawing(params, make_plan(params), Path(folder) / "work", device)
            count = len(drawing.plan.drawn)
            both = {"plain loop": plain(pipeline, params, drawing), "generate": ours(params, drawing, Path(folder))}
            shutil.rmtree(drawing.cache.folder)
        for name, seconds in both.items() if turn else ():
            times[name].append(seconds)
    base = min(times["plain loop"])
    print(
        f"{count} images, batch {params.batch_size}, {params.num_inference_steps} steps, {device}, "
        f"torch {torch.__version__}"
    )
    print("| what | seconds | images/s | times the plain loop |\n|---|---|---|---|")
    for name, seconds in times.items():
        print(f"| {name} | {min(seconds):.2f} | {count / min(seconds):.1f} | {min(seconds) / base:.3f} |")


if __name__ == "__main__":
    main()
