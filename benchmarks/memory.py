"""Peak memory of a plan of many images: plan, PNG encoding, cache and tables are real, only the pixels are a stub.

python benchmarks/memory.py [--images 100000]
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record, write_set
from diffaug.generation.composing.tables import write_tables
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.sampler import Drawn
from diffaug.generation.plan.plan import make_plan
from diffaug.hub.learned import Learned
from diffaug.params import load_params
from diffaug.params.generate import GenerateParams
from diffaug.runtime.memory import PeakMemory


def noise(jobs: list, _: dict, size: int = 64) -> Drawn:
    """Random pixels: the slowest to encode, with the largest files."""
    shape = (len(jobs), size, size, 3)
    return Drawn(tuple(jobs), torch.randint(256, shape, dtype=torch.uint8), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    wanted = parser.parse_args().images
    model = Path(load_params().generate.model.name).absolute()
    names = Learned.read(model).classes
    raw = load_params().generate.model_dump() | {
        "model": {"name": str(model)},
        "cls": {"per_class": wanted // len(names), "modes": {"txt2img": {"weight": 1}}},
        "det": {"per_real": 0.0, "modes": {}},
    }
    params = GenerateParams.model_validate(raw)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        image = encode_png(Image.new("RGB", (64, 64)))
        rows = [make_record(name, image, "train", label=label) for label, name in enumerate(names)]
        write_set(Path("data/real/cls/train"), names, rows)
        write_set(Path("data/real/det/train"), (), [])
        start = time.perf_counter()
        with PeakMemory() as memory:
            plan = make_plan(params)
            drawing = Drawing(params, plan, Path("work"), torch.device("cpu"))
            drawing.sampler.draw = noise  # type: ignore[method-assign]
            drawing.draw(drawing.unfinished(), lambda _: None)
            write_tables(drawing, params, Path("out/cls"), Path("out/det"))
        seconds, peak = time.perf_counter() - start, memory.mebibytes / 2**10
        size = sum(path.stat().st_size for path in Path("out").rglob("*.parquet")) / 2**30
    print("| images | table, GiB | seconds | images/s | peak resident, GiB |\n|---|---|---|---|---|")
    print(f"| {len(plan.drawn)} | {size:.2f} | {seconds:.0f} | {len(plan.drawn) / seconds:.0f} | {peak:.2f} |")


if __name__ == "__main__":
    main()
