"""The cost of a few more images, and of another prompt for one class, if the rest is in the work cache.

python benchmarks/more.py [--images 400]
"""

import argparse
import tempfile
import time
from pathlib import Path

from diffaug.generation.composing.tables import write_tables
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.engines import draw_all
from diffaug.generation.plan.plan import make_plan
from diffaug.params import load_params
from diffaug.params.generate import GenerateParams
from diffaug.runtime.device import choose_device


def run(changes: dict, work: Path) -> tuple[int, float]:
    """Images drawn, and seconds, including opening the model and writing the tables."""
    params = GenerateParams.model_validate(load_params().generate.model_dump() | changes)
    start = time.perf_counter()
    drawing = Drawing(params, make_plan(params), work / "work", choose_device())
    drawn = draw_all(drawing, params, work / "work")
    write_tables(drawing, params, work / "cls", work / "det")
    return drawn, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=400)
    names = make_plan(load_params().generate).cls.names
    count = parser.parse_args().images // len(names)
    batch = max(1, count // 10)
    only = {"det": {"per_real": 0.0, "modes": {}}, "batch_size": batch}

    def of(per_class: int) -> dict:
        return only | {"cls": {"per_class": per_class, "modes": {"txt2img": {"weight": 1}}}}

    other = {"classes": {names[0]: {"prompt": "a photo of a {class} a photo"}}}
    with tempfile.TemporaryDirectory() as folder:
        rows = [("all images, with an empty cache", *run(of(count), Path(folder)))]
        rows.append(("the same again", *run(of(count), Path(folder))))
        rows.append(("1.1 times as many", *run(of(count + batch), Path(folder))))
        rows.append(("another prompt for one class", *run(of(count + batch) | other, Path(folder))))
    print(f"{count * len(names)} images, batch {batch}, {len(names)} classes")
    print("| run | images drawn | seconds | share of the first |\n|---|---|---|---|")
    for name, drawn, seconds in rows:
        print(f"| {name} | {drawn} | {seconds:.1f} | {seconds / rows[0][2]:.3f} |")


if __name__ == "__main__":
    main()
