"""Memory and time of full-size models in this pipeline: Stable Diffusion 1.5 and XL with random weights, one step each.

python benchmarks/full_size.py FOLDER [--only sd15] [--case txt2img]

Memory and speed do not depend on the weights, so they are made here, from the published configurations, in FOLDER
outside the repository (2 GB and 7 GB; 2 GB more for a single file in WebUI's layout). Each case is a process of its
own. peak: what it holds more than after its imports, the largest while it opens the model, and while it draws (Linux
only). estimate: what `diffaug check` says, without its allowance for the process. All in bfloat16.
"""

import argparse
import ctypes
import gc
import inspect
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests/helpers"))  # what writes a checkpoint in WebUI's layout
SIZES = {"sd15": 512, "sdxl": 1024}
KINDS = {"sd15": "sd1", "sdxl": "sdxl"}
MODES = ["txt2img", "img2img", "inpaint", "controlnet"]
CASES: dict[str, dict[str, Any]] = {
    **{mode: {"mode": mode} for mode in MODES},
    "batch of 4": {"batch": 4},
    "batch of 8": {"batch": 8},
    "vae_tiling": {"memory": {"vae_tiling": True}},
    "int8": {"memory": {"quantize": "int8"}},
    "single file": {"file": True},
    "lora": {"lora": True},
}
OMITTED = {("sdxl", "controlnet"), ("sdxl", "batch of 8"), ("sdxl", "single file")}
INPAINT = {"weight": 1, "strength": 0.8, "repaint": "background", "padding": 1, "feather": 1}


def build(name: str, folder: Path, changes: Mapping[str, dict[str, Any]] | None = None) -> None:
    """The model with random weights in float16, as a folder in the hub's layout; of SD 1.5 a ControlNet and a single
    file too. changes: of its configurations, by their files' names."""
    import torch
    from diffusers import ControlNetModel

    from diffaug.hub.checkpoints import carried_folder

    if (folder / "done").exists():
        return
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float16)
    config = folder / "config"
    shutil.copytree(carried_folder(KINDS[name]), config, dirs_exist_ok=True)
    for file, values in (changes or {}).items():
        changed = json.loads((config / file).read_text(encoding="utf-8")) | values
        (config / file).write_text(json.dumps(changed), encoding="utf-8")
    parts = {one: _part(config / one, kind) for one, kind in _listed(config).items()}
    index = json.loads((config / "model_index.json").read_text(encoding="utf-8"))
    kind = getattr(__import__("diffusers"), index["_class_name"])
    taken = inspect.signature(kind.__init__).parameters
    empty = {key: None for key in ("safety_checker", "feature_extractor", "image_encoder") if key in taken}
    pipeline = kind(**parts, **empty)
    pipeline.save_pretrained(folder / "model")
    if name == "sd15":
        from ldm import named
        from safetensors.torch import save_file

        ControlNetModel.from_unet(pipeline.unet).half().save_pretrained(folder / "controlnet")
        tensors = {key: value.contiguous() for key, value in named(pipeline.components).items()}
        save_file(tensors, folder / "single.safetensors")
    torch.set_default_dtype(torch.float32)
    (folder / "done").touch()


def _listed(config: Path) -> dict[str, list[str]]:
    index = json.loads((config / "model_index.json").read_text(encoding="utf-8"))
    return {name: value for name, value in index.items() if isinstance(value, list) and value[0]}


def _part(folder: Path, kind: list[str]) -> Any:
    found = getattr(__import__(kind[0]), kind[1])
    if "Tokenizer" in kind[1]:
        return found.from_pretrained(folder)
    if kind[0] == "diffusers":
        return found.from_config(found.load_config(folder))
    return found(found.config_class.from_pretrained(folder))


def settings(name: str, case: dict[str, Any], folder: Path) -> Any:
    """The params of a case."""
    import yaml

    from diffaug.params.generate import GenerateParams

    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["generate"]
    mode = case.get("mode", "txt2img")
    chosen = {
        "txt2img": {"weight": 1},
        "img2img": {"weight": 1, "strength": 0.8},
        "inpaint": INPAINT,
        "controlnet": {"weight": 1, "condition": "canny", "canny": [100, 200], "scale": 1.0}
        | {"model": {"name": str(folder / "controlnet")}},
    }
    raw["memory"] |= case.get("memory", {})
    raw |= {
        "model": {"name": str(folder / ("single.safetensors" if case.get("file") else "model"))},
        "cls": raw["cls"] | {"modes": {mode: chosen[mode]}},
        "det": {"per_real": 0.0, "modes": {}},
        "dtype": "bfloat16",
        "batch_size": case.get("batch", 1),
        "height": SIZES[name],
        "width": SIZES[name],
        "num_inference_steps": 2 if "strength" in chosen[mode] else 1,
        "guidance_scale": 7.5,
    }
    return GenerateParams.model_validate(raw)


def draw(name: str, params: Any) -> dict[str, float]:
    """Open the model and draw a batch in one step."""
    import torch
    from PIL import Image, ImageDraw

    from diffaug.dataset.codec import encode_png
    from diffaug.dataset.records import make_record
    from diffaug.generation.drawing.sampler import open_sampler
    from diffaug.generation.plan.jobs import Job, Settings

    (mode, given), side = next(iter(params.cls.modes.given().items())), SIZES[name]
    picture = Image.new("RGB", (side, side))
    ImageDraw.Draw(picture).rectangle([side // 4, side // 4, side // 2, side // 2], fill=(200, 30, 90))
    source = make_record("source", encode_png(picture), "train", label=0)
    strength = max(getattr(given, "strength", None) or [0.0])  # a mode can have several
    chosen = Settings(mode, "ddim", params.num_inference_steps, 7.5, strength, -1.0, side, side)
    id = None if mode == "txt2img" else "source"
    jobs = [
        Job(f"{n}", n, 0, "a photo of a cat", "", n, (side, side), "RGB", chosen, id) for n in range(params.batch_size)
    ]
    measured = Measured()
    sampler = open_sampler(params, torch.device("cpu"))
    opened = measured.part()
    assert len(sampler.draw(jobs, {"source": source} if id else {}).images()) == params.batch_size
    return opened | {f"draw {key}": value for key, value in measured.part().items()}


def train(name: str, folder: Path) -> dict[str, float]:
    """Two steps of LoRA training with the parameters of params.yaml."""
    import torch
    import yaml

    from diffaug.diffusion.opening import open_pipeline
    from diffaug.generator_training.captioned import Captioned
    from diffaug.generator_training.lora import train_lora
    from diffaug.hub.locate import locate_pipeline
    from diffaug.params.base import ModelName
    from diffaug.params.train_gen import TrainGenParams

    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train_gen"]
    raw["lora"] |= {"size": SIZES[name], "steps": 1, "gradient_accumulation": 1}
    images = torch.randint(256, (2, 3, SIZES[name], SIZES[name]), dtype=torch.uint8)
    data = Captioned(images, torch.tensor([[0], [1]]), ("a cat", "a dog"), ("cat", "dog"))
    model = ModelName(name=str(folder / "model"))
    measured = Measured()
    pipeline = open_pipeline(model, locate_pipeline(model, "lora"), "lora", torch.bfloat16)
    opened = measured.part()
    work = folder / f"work-{os.getpid()}"
    train_lora(pipeline, data, TrainGenParams.model_validate(raw), work, torch.device("cpu"))
    return opened | {f"draw {key}": value for key, value in measured.part().items()}


class Measured:
    """The seconds and the largest memory of one part of the work after another, in GiB above that of the imports."""

    def __init__(self) -> None:
        import diffaug.diffusion.opening
        import diffaug.generation.drawing.sampler  # noqa: F401

        gc.collect()
        self._before = self._status("VmRSS")
        self._reset()

    def part(self) -> dict[str, float]:
        """Of the part that ends now."""
        found = {"seconds": time.perf_counter() - self._start, "peak": self._status("VmHWM") - self._before}
        self._reset()
        return found

    def _reset(self) -> None:
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._start = time.perf_counter()

    @staticmethod
    def _status(key: str) -> float:
        line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(key))
        return int(line.split()[1]) / 2**20


def run_case(name: str, case: str, folder: Path) -> dict[str, float]:
    """What this process measures."""
    if CASES[case].get("lora"):
        return train(name, folder)
    params = settings(name, CASES[case], folder)
    from diffaug.commands.model_memory import model_memory

    estimated = model_memory(params, params.model, "bfloat16")
    assert estimated is not None  # all files are in the folder
    return draw(name, params) | {"estimate": estimated.peak(params.memory) / 2**30}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=SIZES)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else list(SIZES)
    if arguments.child:
        print(json.dumps(run_case(arguments.only, arguments.case, arguments.folder / arguments.only)))
        return
    print(
        f"| model | case | open, s | step, s | peak opening | peak | estimate | ratio |\n{'|---' * 8}|",
        flush=True,
    )
    for name in names:
        build(name, arguments.folder / name)
        gc.collect()
        for case in [arguments.case] if arguments.case else CASES:
            if (name, case) in OMITTED:
                continue
            command = [sys.executable, __file__, str(arguments.folder), "--only", name, "--case", case, "--child"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"| {name} | {case} | failed: {' '.join(done.stderr.split())[-200:]} |", flush=True)
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            estimate = found.get("estimate")
            said = "| - | - |" if estimate is None else f"| {estimate:.2f} | {estimate / found['draw peak']:.2f} |"
            print(
                f"| {name} | {case} | {found['seconds']:.0f} | {found['draw seconds']:.0f} | {found['peak']:.2f} | "
                f"{found['draw peak']:.2f} {said}",
                flush=True,
            )


if __name__ == "__main__":
    main()
